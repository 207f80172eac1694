//! placeholder
mod answer;
mod token;
