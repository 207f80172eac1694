//! Patches with a guard: counted up in place, applied only where the entity allows it, and only once.

use std::fmt::Write as _;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::edm::Model;

use super::{Patch, Requirement, attribute, write::Builder};

/// An entity with so many marks takes no further one by a patch: whoever reads it then keeps the newest half.
pub const MAX_MARKS: usize = 64;

impl Builder {
    /// The requirements of a patch, as conditions.
    pub(super) fn requirements(&mut self, model: &Model, patch: &Patch, all: &mut Vec<String>) {
        use attribute::{MARKS, VALUES};
        for requirement in &patch.requires {
            all.push(match requirement {
                Requirement::OneOf { property, values } => {
                    let property = self.name(property);
                    let values = values.iter().map(|value| self.value(attribute::to_attribute(model, value)));
                    let values: Vec<String> = values.collect();
                    format!("{VALUES}.{property} IN ({})", values.join(", "))
                }
                Requirement::Below { property, bound, default } => {
                    let (property, bound) = (self.name(property), self.name(bound));
                    let null = self.value(AttributeValue::Null(true));
                    let property = format!("{VALUES}.{property}");
                    let bound = format!("{VALUES}.{bound}");
                    let zero = self.value(AttributeValue::N("0".into()));
                    let own = format!("{property} < {bound} OR attribute_not_exists({property}) AND {bound} > {zero}");
                    let unbound = format!("(attribute_not_exists({bound}) OR {bound} = {null})");
                    match default {
                        None => format!("({own} OR {unbound})"),
                        Some(default) => {
                            let uncounted = format!(" OR attribute_not_exists({property})");
                            let uncounted = if *default > 0 { uncounted.as_str() } else { "" };
                            let default = self.value(AttributeValue::N(default.to_string()));
                            let below = format!("({property} < {default}{uncounted})");
                            format!("({own} OR {unbound} AND {below})")
                        }
                    }
                }
            });
        }
        if let Some(mark) = &patch.mark {
            let (mark, most) = (self.text(mark), self.value(AttributeValue::N(MAX_MARKS.to_string())));
            all.push(format!(
                "(attribute_not_exists({MARKS}) OR NOT contains({MARKS}, {mark}) AND size({MARKS}) < {most})"
            ));
        }
    }

    /// What a patch counts up, and its mark.
    pub(super) fn counts_and_mark(&mut self, patch: &Patch, set: &mut String) {
        use attribute::{MARKS, VALUES};
        for (name, by) in &patch.increments {
            let (name, by) = (self.name(name), self.value(AttributeValue::N(by.to_string())));
            let zero = self.value(AttributeValue::N("0".into()));
            _ = write!(set, ", {VALUES}.{name} = if_not_exists({VALUES}.{name}, {zero}) + {by}");
        }
        if let Some(mark) = &patch.mark {
            let mark = self.value(AttributeValue::L(vec![AttributeValue::S(mark.clone())]));
            let none = self.value(AttributeValue::L(Vec::new()));
            _ = write!(set, ", {MARKS} = list_append(if_not_exists({MARKS}, {none}), {mark})");
        }
    }
}
