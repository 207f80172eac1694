//! The live view in a terminal.

use std::{io, time::Duration};

use ratatui::{
    DefaultTerminal, Frame,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
    layout::{Constraint, Layout},
    style::{Color, Style, Stylize},
    text::Line,
    widgets::{Block, Cell, Paragraph, Row, Table},
};

use super::board::{Board, Decision, Job};

/// Between looks for a key.
const KEYS: Duration = Duration::from_millis(100);

/// The terminal, as long as it shows the view. What was on it comes back at the end.
pub(super) struct Screen(DefaultTerminal);

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        ratatui::try_init().map(Self)
    }

    pub(super) fn show(&mut self, board: &Board, host: &str) -> io::Result<()> {
        self.0.draw(|frame| draw(frame, board, host)).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Waits for Ctrl-C or `q`, which arrive as keys while the view is open. `alive` ends the wait, too.
pub(super) fn wait_for_end(alive: impl Fn() -> bool) -> io::Result<()> {
    while alive() {
        if event::poll(KEYS)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            if key.code == KeyCode::Char('q') || control && key.code == KeyCode::Char('c') {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn draw(frame: &mut Frame<'_>, board: &Board, host: &str) {
    let jobs = u16::try_from(board.jobs.len()).unwrap_or(u16::MAX).saturating_add(3);
    let areas = Layout::vertical([Constraint::Length(jobs), Constraint::Min(5), Constraint::Length(6)]);
    let [top, middle, bottom] = areas.areas(frame.area());
    frame.render_widget(jobs_table(board), top);
    frame.render_widget(decisions_table(board), middle);
    frame.render_widget(urls(board, host), bottom);
}

fn jobs_table(board: &Board) -> Table<'_> {
    let rows = board.jobs.iter().map(|job| {
        let Job { id, description, status, retry_count, .. } = job;
        let last = board.decisions.iter().find(|decision| decision.job == *id);
        Row::new([
            Cell::from(id.to_string()),
            Cell::from(description.as_str()),
            Cell::from(status.as_str()).style(color(status)),
            Cell::from(retry_count.to_string()),
            Cell::from(last.map(Decision::outcome).unwrap_or_default()),
        ])
    });
    let widths = [11, 26, 11, 9].map(Constraint::Length).into_iter().chain([Constraint::Min(10)]);
    Table::new(rows, widths)
        .header(Row::new(["Job", "Description", "Status", "Requeued", "Last decision"]).bold())
        .block(Block::bordered().title(" Batch jobs "))
}

fn decisions_table(board: &Board) -> Table<'_> {
    let rows = board.decisions.iter().map(|decision| {
        let time = decision.received.get(11..19).unwrap_or_default();
        Row::new([
            Cell::from(time),
            Cell::from(decision.job.to_string()),
            Cell::from(decision.event.as_str()),
            Cell::from(decision.outcome()).style(color(&decision.status)),
            Cell::from(decision.reason.as_str()),
        ])
    });
    let widths = [9, 11, 9, 24].map(Constraint::Length).into_iter().chain([Constraint::Min(10)]);
    Table::new(rows, widths)
        .header(Row::new(["UTC", "Job", "Event", "What became of it", "Why"]).bold())
        .block(Block::bordered().title(" Events that came in "))
}

fn urls<'a>(board: &Board, host: &str) -> Paragraph<'a> {
    let exhausted = board.exhausted();
    Paragraph::new(vec![
        Line::from(format!("{host}/data/BatchJobs")),
        Line::from(format!("{host}/data/RequeueDecisions?$filter=Decision%20eq%20'Exhausted'   ({exhausted} now)")),
        Line::from(format!("{host}/data/RequeueAttempts   {host}/data/BatchJobHistory")),
        Line::from("Ctrl-C ends it.").bold(),
    ])
    .block(Block::bordered().title(" To explore "))
}

fn color(state: &str) -> Style {
    let color = match state {
        "Error" | "Failed" | "Refused" => Color::Red,
        "Executing" => Color::Yellow,
        "Finished" | "Requeued" => Color::Green,
        "Waiting" | "Pending" => Color::Cyan,
        _ => return Style::new(),
    };
    Style::new().fg(color)
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    #[test]
    fn jobs_decisions_and_urls_are_on_the_screen() {
        let text = str::to_owned;
        let job = Job { id: 7, description: text("Import"), status: text("Error"), retry_count: 2 };
        let decision = Decision {
            job: 7,
            event_id: text("E"),
            event: text("Failed"),
            kind: text("Exhausted"),
            reason: text("the limit"),
            status: text("None"),
            retry: None,
            max_retries: Some(2),
            received: text("2026-01-01T12:34:56.000Z"),
        };
        let board = Board { jobs: vec![job], decisions: vec![decision] };
        let mut terminal = Terminal::new(TestBackend::new(100, 20)).unwrap();
        terminal.draw(|frame| draw(frame, &board, "http://127.0.0.1:1")).unwrap();
        let shown = terminal.backend().to_string();
        for expected in
            ["Import", "Error", "12:34:56", "exhausted", "the limit", "127.0.0.1:1/data/BatchJobs", "(1 now)"]
        {
            assert!(shown.contains(expected), "{expected} is not in\n{shown}");
        }
    }
}
