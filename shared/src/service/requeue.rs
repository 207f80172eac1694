//! Where a service has the action that puts a batch job back to waiting.

use super::Service;
use crate::{
    jobs::{Jobs, SET_BATCH_JOB_TO_WAITING},
    uri::{self, Encoding, EntityPath, Resource},
};

impl Service {
    /// The batch jobs that an action puts back to waiting, if it is SetBatchJobToWaiting on their entity set.
    pub fn requeued_by(&self, path: &EntityPath, action: &str) -> Option<&Jobs> {
        let jobs = self.jobs.as_ref().filter(|jobs| jobs.set == path.set)?;
        let name = action.rsplit('.').next().unwrap_or_default();
        (path.collection && path.steps.is_empty() && name == SET_BATCH_JOB_TO_WAITING).then_some(jobs)
    }

    /// Whether a path below a root is that of the action, however it is encoded:
    /// `BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting`.
    pub fn is_requeue(&self, rest: &str, encoding: Encoding) -> bool {
        let companies = self.companies.as_ref().map(|companies| companies.set);
        let segments = uri::parse_path(rest, encoding, &self.limits.uri());
        match segments.and_then(|segments| uri::resolve(&self.model, &segments, companies)) {
            Ok(Resource::Action { path, name }) => self.requeued_by(&path, &name).is_some(),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::service::Services;

    fn finance_operations() -> Services {
        Services::load_with_jobs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/services")).unwrap()
    }

    #[test]
    fn only_services_with_jobs_are_loaded_when_only_they_are_wanted() {
        let services = finance_operations();
        assert_eq!(services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["finance-operations"]);
        assert!(services.find("/data/BatchJobs", Encoding::Percent).is_some());
        assert!(services.find("/api/data/v9.2/accounts", Encoding::Percent).is_none());
    }

    #[test]
    fn a_folder_without_jobs_says_so() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let error = Services::load_with_jobs(folder).unwrap_err().to_string();
        assert!(error.ends_with("no service here has batch jobs ([jobs])"), "{error}");
    }

    #[test]
    fn the_action_is_recognised_as_the_gateways_spell_it() {
        let services = finance_operations();
        let service = services.iter().next().unwrap();
        let plain = "BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting";
        let encoded = "%42atchJobs/Microsoft%2EDynamics%2EDataEntities.Set%42atchJobToWaiting";
        for (path, encoding, expected) in [
            (plain, Encoding::Percent, true),
            (plain, Encoding::Decoded, true),
            (encoded, Encoding::Percent, true),
            (encoded, Encoding::Decoded, false),
            (&format!("{plain}/"), Encoding::Percent, true),
            (&format!("{plain}//"), Encoding::Percent, false),
            (&format!("{plain}()"), Encoding::Percent, true),
            (&format!("{plain}/$count"), Encoding::Percent, false),
            (&plain.to_lowercase(), Encoding::Percent, false),
            (&plain.replace('/', "%2F"), Encoding::Percent, false),
            (&plain.replace("BatchJobs", "BatchJobs(5637144576)"), Encoding::Percent, false),
            (&plain.replace("BatchJobs", "BatchJobHistory"), Encoding::Percent, false),
            ("BatchJobs", Encoding::Percent, false),
            ("BatchJobs/SetBatchJobToWaiting", Encoding::Percent, false),
            ("BatchJobs/Microsoft.Dynamics.DataEntities.Resend", Encoding::Percent, false),
            ("$batch", Encoding::Percent, false),
            ("%", Encoding::Percent, false),
            ("", Encoding::Percent, false),
        ] {
            assert_eq!(service.is_requeue(path, encoding), expected, "{path} {encoding:?}");
        }
    }
}
