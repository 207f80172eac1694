//! Where inputs begin: batches, URLs, bodies and literals as clients write them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use shared::service::Services;

use super::Subject;
use crate::{binaries::workspace, fixtures};

/// Batches: their `Content-Type`, a line break, the body.
const BATCHES: [&str; 7] = [
    "application/json\n{\"requests\":[]}",
    "application/json\n{\"requests\":[{\"id\":\"1\",\"atomicityGroup\":\"g\",\"method\":\"POST\",\"url\":\"accounts\",\
     \"headers\":{\"content-type\":\"application/json\"},\"body\":{\"name\":\"a\\u00e9\"}},{\"id\":\"2\",\
     \"atomicityGroup\":\"g\",\"dependsOn\":[\"1\"],\"method\":\"patch\",\"url\":\"$1\",\"if\":\"$1 eq 1\",\
     \"body\":{\"a\":[1.50,null,{\"b\":\"\\\"\"}]}},{\"id\":\"3\",\"dependsOn\":[\"g\"],\"method\":\"GET\",\
     \"url\":\"/data/BatchJobs(5)?$select=Status\"}]}",
    "application/json\n{\"requests\":[{\"id\":\"1\",\"method\":\"PUT\",\"url\":\"a/b\",\"headers\":\
     {\"Content-Type\":\"text/plain\",\"If-Match\":\"W/\\\"1\\\"\"},\"body\":\"text\"}]}",
    "application/json\n{\"responses\":[{\"id\":\"1\",\"status\":201,\"headers\":{\"location\":\"x\"},\"body\":{}},\
     {\"id\":\"2\",\"atomicityGroup\":\"g\",\"status\":204}]}",
    "multipart/mixed; boundary=b\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\
     Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 1\r\n\r\n\
     POST accounts HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}\r\n\
     --c\r\nContent-Type: application/http\r\nContent-ID: 2\r\n\r\nPATCH $1 HTTP/1.1\r\nIf-Match: *\r\n\r\n{}\r\n\
     --c--\r\n--b\r\nContent-Type: application/http\r\n\r\nGET accounts HTTP/1.1\r\n\r\n\r\n--b--\r\n",
    "multipart/mixed;boundary=\"b b\"\n\n--b b \nContent-Type:application/http\n\nget /a b/c HTTP/1.1\nAccept:x\n--b b--",
    "multipart/mixed; boundary=b\n--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n--b--",
];

/// URLs: path and query.
const URLS: [&str; 12] = [
    "/api/data/v9.2/accounts(accountnumber='A%2F1')/name/$value",
    "/api/data/v9.2/accounts(00000000-0000-0000-0000-000000000001)/Account_Tasks/$ref?$top=5&$count=true",
    "/api/data/v9.2/tasks(%27O''Bryan%27)/regardingobjectid_account_task",
    "/data/BatchJobs(5637144576)?cross-company=true&$select=Status,JobDescription",
    "/api/v2.0/companies(6f2a7b1e-0d34-4c8a-9a51-3c0de15f4b72)/journals(id=00000000-0000-0000-0000-000000000000)\
     /journalLines?$filter=amount%20lt%20-3250.00%20and%20contains(description,'100%25')&$skiptoken=abc",
    "/api/contoso/app/v1.0/companies(name='CRONUS')/items?company=CRONUS&$format=json;odata.metadata=none",
    "/trippin/People('russellwhyte')/Trips(0)/PlanItems/$count",
    "/trippin/People?$filter=not%20(Gender%20eq%20Trip.PersonGender'Male'%20or%20startswith(UserName,'a'))%20and%20\
     (length(FirstName)%20add%201%20gt%205)%20and%20Concurrency%20in%20(1,2,3)",
    "/trippin/Airports('KSFO')/Location/City/Name?$select=*&$id=Airports('KSFO')",
    "/trippin/People?$filter=Emails/any(e:e%20eq%20'a')%20and%20year(BirthDate)%20ge%202000-01-01T00:00:00Z",
    "https://h:443/p/trippin/$metadata?$format=application/xml#x",
    "$batch",
];

/// Literals: what they are compared with, a line break, the literal.
const LITERALS: [&str; 16] = [
    "'O''Bryan'",
    "5",
    "-9223372036854775808",
    "1.50",
    "1e400",
    "INF",
    "NaN",
    "true",
    "null",
    "01234567-89ab-cdef-0123-456789abcdef",
    "2024-02-29",
    "2024-02-29T23:59:60.123456789012Z",
    "2024-02-29T00:00-14:00",
    "duration'-P1DT2H3M4.5S'",
    "binary'AQID_w=='",
    "Namespace.Type'A,B'",
];

/// Entities: the service and the set, a line break, the body.
const ENTITIES: [&str; 5] = [
    "dataverse/accounts\n{\"name\":\"a\",\"revenue\":1.10,\"primarycontactid@odata.bind\":\"/contacts(1)\",\
     \"Account_Tasks\":[{\"subject\":\"x\"}],\"@odata.etag\":\"W/\\\"a.b\\\"\",\"numberofemployees\":null}",
    "trippin/People\n{\"@odata.type\":\"#Trippin.Person\",\"UserName\":\"u\",\"Emails\":[\"a\",\"b\"],\
     \"AddressInfo\":[{\"Address\":\"x\",\"City\":{\"Name\":\"n\",\"Region\":\"r\"}}],\"Gender\":\"Female\"}",
    "business-central/journals\n{\"displayName\":\"x\",\"journalLines\":[{\"amount\":-3250.00,\
     \"postingDate\":\"2024-02-29\",\"accountType\":\"G_x002F_L_x0020_Account\"}]}",
    "finance-operations/BatchJobs\n{\"BatchJobRecId\":5637144576,\"StartDateTime\":\"2024-01-01T00:00:00Z\"}",
    "trippin/People\n{\"value\":{\"@odata.id\":\"People('a')\"}}",
];

/// What is sent as events: its `Content-Type`, a line break, the body.
const EVENTS: [&str; 5] = [
    "application/json\n{\"BusinessEventId\":\"BatchJobFailedBusinessEvent\",\"BusinessEventLegalEntity\":\"usmf\",\
     \"ControlNumber\":5637611082,\"EventId\":\"ACDF982F-7F7C-5B20-A698-36B5DB107107\",\
     \"EventTime\":\"/Date(1672408320000)/\",\"EventTimeIso8601\":\"2022-12-30T13:52:00.0000000Z\",\
     \"JobDescription\":\"Close \\\"May\\\"\",\"JobId\":5637144576,\"JobStatus\":\"Error\",\
     \"ParentContextRecordSubjects\":[]}",
    "application/json; charset=utf-8\n[{\"id\":\"1\",\"topic\":\"t\",\"subject\":\"s\",\
     \"eventType\":\"BatchJobFailedBusinessEvent\",\"eventTime\":\"2022-12-30T13:51:15.2942742Z\",\
     \"data\":\"{\\\"EventTime\\\":\\\"/Date(-1+0000)/\\\",\\\"JobId\\\":\\\"5\\\"}\",\"dataVersion\":\"1.0\"},\
     {\"id\":\"2\",\"eventType\":\"a.b.C\",\"data\":{\"JobId\":7,\"JobStatus\":\"Canceled\"}}]",
    "application/json\n[{\"id\":\"1\",\"eventType\":\"Microsoft.EventGrid.SubscriptionValidationEvent\",\
     \"data\":{\"validationCode\":\"512d38b6\"}}]",
    "application/cloudevents+json\n{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\
     \"time\":\"2022-12-30T13:51:15Z\",\"data_base64\":\"e30=\",\"subject\":null}",
    "application/cloudevents-batch+json\n[{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\",\
     \"data\":{\"EventId\":\"{acdf982f-7f7c-5b20-a698-36b5db107107}\",\"ControlNumber\":-9223372036854775808}}]",
];

/// Seeds by subject.
#[derive(Debug, Default)]
pub(super) struct Corpus {
    batches: Vec<Vec<u8>>,
    urls: Vec<Vec<u8>>,
    entities: Vec<Vec<u8>>,
    literals: Vec<Vec<u8>>,
    events: Vec<Vec<u8>>,
}

impl Corpus {
    pub(super) fn new(services: &Services) -> Self {
        let bytes = |text: &&str| text.as_bytes().to_vec();
        let mut corpus = Self {
            batches: BATCHES.iter().map(bytes).collect(),
            urls: URLS.iter().map(bytes).collect(),
            entities: ENTITIES.iter().map(bytes).collect(),
            literals: Vec::new(),
            events: EVENTS.iter().map(bytes).collect(),
        };
        for service in services.iter() {
            for (_, set) in service.model.sets() {
                let place = format!("{}/{}\n", service.name, set.name);
                corpus.literals.extend(LITERALS.iter().map(|literal| format!("{place}{literal}").into_bytes()));
            }
            for group in &service.seed {
                let place = format!("{}/{}\n", service.name, service.model.set(group.set).name);
                corpus.entities.extend(group.payloads.iter().map(|row| [place.as_bytes(), row.as_ref()].concat()));
            }
        }
        corpus.add_fixtures();
        corpus.add_grammar();
        corpus
    }

    /// The seeds of a subject; never empty.
    pub(super) fn seeds(&self, subject: Subject) -> &[Vec<u8>] {
        match subject {
            Subject::Batch => &self.batches,
            Subject::Url => &self.urls,
            Subject::Entity => &self.entities,
            Subject::Literal => &self.literals,
            Subject::Event => &self.events,
        }
    }

    /// Adds recorded and documented batches.
    fn add_fixtures(&mut self) {
        for file in files(&fixtures::folder().join("captures"), "http") {
            self.add_recorded(&file);
        }
        for (extension, content_type) in
            [("json", "application/json"), ("multipart", "multipart/mixed;boundary=batch_AAA123")]
        {
            for file in files(&fixtures::folder().join("documents"), extension) {
                self.batches.push([content_type.as_bytes(), b"\n", &file].concat());
            }
        }
    }

    /// Adds the examples of the standard's grammar, where they are beside the workspace.
    fn add_grammar(&mut self) {
        let beside = || workspace().join("../shared");
        let folder = env::var_os("REBATCH_SHARED").map_or_else(beside, PathBuf::from).join("reference");
        if !folder.is_dir() {
            eprintln!("{} is absent: the grammar's examples are left out", folder.display());
            return;
        }
        for file in files(&folder, "yaml") {
            let text = String::from_utf8_lossy(&file);
            let inputs = text.lines().filter_map(|line| line.trim_start().strip_prefix("Input: "));
            self.urls.extend(inputs.map(|input| input.as_bytes().to_vec()));
        }
    }

    /// Adds one recorded HTTP request, and what can be told apart in it.
    fn add_recorded(&mut self, file: &[u8]) {
        let text = String::from_utf8_lossy(file);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return };
        let content_type = head.lines().find_map(|line| line.strip_prefix("Content-Type: "));
        if let Some(content_type) = content_type {
            self.batches.push(format!("{content_type}\n{body}").into_bytes());
        }
        for line in text.lines() {
            let mut words = line.split(' ');
            if let (Some(_), Some(url), Some("HTTP/1.1")) = (words.next(), words.next(), words.next()) {
                self.urls.push(url.as_bytes().to_vec());
            }
            if line.starts_with('{') {
                self.entities.push(format!("dataverse/accounts\n{line}").into_bytes());
            }
        }
    }
}

/// The contents of the files with that extension, in the order of their names.
fn files(folder: &Path, extension: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("readable")).collect()
}
