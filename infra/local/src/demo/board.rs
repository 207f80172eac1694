//! What a person is shown: the jobs and the decisions about them, as OData tells them, and what changed since.

use serde::Deserialize;

/// The jobs of the demonstration and what was decided about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Board {
    /// In the order of their ids.
    pub(super) jobs: Vec<Job>,
    /// The newest first.
    pub(super) decisions: Vec<Decision>,
}

/// A batch job.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Job {
    #[serde(rename = "BatchJobRecId")]
    pub(super) id: i64,
    #[serde(rename = "JobDescription")]
    pub(super) description: String,
    pub(super) status: String,
    pub(super) retry_count: i64,
}

/// A decision about an event of a job.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Decision {
    #[serde(rename = "BatchJobRecId")]
    pub(super) job: i64,
    pub(super) event_id: String,
    pub(super) event: String,
    #[serde(rename = "Decision")]
    pub(super) kind: String,
    pub(super) reason: String,
    pub(super) status: String,
    pub(super) retry: Option<i64>,
    pub(super) max_retries: Option<i64>,
    #[serde(rename = "ReceivedDateTime")]
    pub(super) received: String,
}

impl Decision {
    /// What became of it, in a few words.
    pub(super) fn outcome(&self) -> String {
        let retry = match (self.retry, self.max_retries) {
            (Some(retry), Some(most)) => format!(" {retry} of {most}"),
            _ => String::new(),
        };
        match self.status.as_str() {
            "None" => self.kind.to_lowercase(),
            // Which retry it is, is found out when it is due.
            "Pending" => "will be requeued".to_owned(),
            status => format!("{}{retry}", status.to_lowercase()),
        }
    }
}

impl Board {
    /// One line for each thing that is not as it was.
    pub(super) fn changes(&self, before: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for job in &self.jobs {
            let old = before.jobs.iter().find(|old| old.id == job.id);
            if old.is_none_or(|old| old.status != job.status) {
                let from = old.map_or(String::new(), |old| format!("{} → ", old.status));
                let Job { id, description, status, retry_count, .. } = job;
                lines.push(format!("job {id} {description:<24} {from}{status} (requeued: {retry_count})"));
            }
        }
        for decision in self.decisions.iter().rev() {
            let old = before.decisions.iter().find(|old| old.event_id == decision.event_id);
            if old.is_none_or(|old| old.outcome() != decision.outcome()) {
                let Decision { job, event, reason, .. } = decision;
                lines.push(format!("job {job} {event}: {} — {reason}", decision.outcome()));
            }
        }
        lines
    }

    /// How many failures met the limit.
    pub(super) fn exhausted(&self) -> usize {
        self.decisions.iter().filter(|decision| decision.kind == "Exhausted").count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(status: &str, retry_count: i64) -> Job {
        Job { id: 7, description: "Import".into(), status: status.into(), retry_count }
    }

    fn decision(status: &str, retry: Option<i64>) -> Decision {
        let text = str::to_owned;
        let (event_id, received) = (text("E"), text("2026-01-01T00:00:00Z"));
        let (event, kind, reason) = (text("Failed"), text("Requeue"), text("rule \"all\""));
        Decision { job: 7, event_id, event, kind, reason, status: text(status), retry, max_retries: Some(3), received }
    }

    #[test]
    fn only_what_changed_has_a_line() {
        let before = Board { jobs: vec![job("Error", 1)], decisions: vec![decision("Pending", None)] };
        assert_eq!(before.changes(&before), Vec::<String>::new());
        let after = Board { jobs: vec![job("Waiting", 2)], decisions: vec![decision("Requeued", Some(2))] };
        assert_eq!(
            after.changes(&before),
            [
                "job 7 Import                   Error → Waiting (requeued: 2)",
                "job 7 Failed: requeued 2 of 3 — rule \"all\"",
            ]
        );
    }
}
