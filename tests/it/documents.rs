//! The batches of the documents, over HTTP to the real host: every byte of the answers.

use serde_json::Value;
use tests::{fixtures, golden::normalise, host::Host};

const COMPANY: &str = "9f161476-1d3d-eb11-bb72-000d3a2b9218";
const JOURNAL: &str = "f91409ba-1d3d-eb11-bb72-000d3a2b9218";
const SALARIES: &str = "ae4110b4-1d3d-eb11-bb72-000d3a2b9218";
const LIABILITIES: &str = "844110b4-1d3d-eb11-bb72-000d3a2b9218";
const NIL: &str = "00000000-0000-0000-0000-000000000000";
const ITEM: &str = "7ce0af2e-0963-460f-9b1f-0014aea3e117";

/// Status line, headers as the host sends them but for date and length, and body.
async fn post(url: &str, headers: &[(&str, &str)], body: String) -> String {
    let mut request = reqwest::Client::new().post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let mut text = format!("{}\r\n", answer.status());
    let differ = ["date", "content-length", "traceparent"];
    for (name, value) in answer.headers().iter().filter(|(name, _)| !differ.contains(&name.as_str())) {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    text + "\r\n" + &answer.text().await.unwrap()
}

async fn get(url: String) -> Value {
    serde_json::from_str(&reqwest::get(url).await.unwrap().text().await.unwrap()).unwrap()
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const ACCEPT: (&str, &str) = ("Accept", "application/json");

fn journal_line(id: &str, account: (&str, &str), number: u32, amount: &str, description: &str) -> String {
    let collection = format!("companies({COMPANY})/journals({JOURNAL})/journalLines");
    let (account, account_number) = account;
    format!(
        concat!(
            r#"{{"id":"{id}","status":201,"headers":{{"location":"<host>/api/v2.0/{collection}(<id>)","#,
            r#""content-type":"application/json; odata.metadata=minimal","odata-version":"4.0"}},"body":{{"#,
            r#""@odata.context":"<host>/api/v2.0/$metadata#{collection}/$entity","@odata.etag":"<etag>","id":"<id>","#,
            r#""journalId":"{journal}","journalDisplayName":"DEFAULT","lineNumber":{number},"#,
            r#""accountType":"G_x002F_L_x0020_Account","accountId":"{account}","accountNumber":"{account_number}","#,
            r#""postingDate":"2020-10-20","documentNumber":"SALARY2020-12","externalDocumentNumber":"","#,
            r#""amount":{amount},"description":"{description}","comment":"","taxCode":"NONTAXABLE","#,
            r#""balanceAccountType":"G_x002F_L_x0020_Account","#,
            r#""balancingAccountId":"00000000-0000-0000-0000-000000000000","balancingAccountNumber":"","#,
            r#""lastModifiedDateTime":"<time>"}}}}"#
        ),
        id = id,
        collection = collection,
        journal = JOURNAL,
        number = number,
        account = account,
        account_number = account_number,
        amount = amount,
        description = description,
    )
}

/// The journal lines of the second document.
async fn journal_lines(host: &Host) -> (String, String) {
    let request = fixtures::read("documents/002-journal-lines.json")
        .replace("{{companyId}}", COMPANY)
        .replace("{{journalId}}", JOURNAL)
        .replace("{{accountId}}", SALARIES)
        .replace("{{accountId2}}", LIABILITIES);
    let answer = post(&format!("{}/api/v2.0/$batch", host.url()), &[JSON, ACCEPT], request.clone()).await;
    (request, answer)
}

#[tokio::test]
async fn three_journal_lines_are_answered_by_the_byte() {
    let host = Host::start(&["--memory"]).await;
    let (request, answer) = journal_lines(&host).await;
    let known = format!("{request} 00000000-0000-0000-0000-000000000000");
    let answer = normalise(&answer.replace(host.url(), "<host>"), &known);
    let salaries = (SALARIES, "60700");
    let lines = [
        journal_line("r1", salaries, 10000, "-3250.00", "Salary to Bob"),
        journal_line("r2", salaries, 20000, "-3500.00", "Salary to John"),
        journal_line("r3", (LIABILITIES, "20700"), 30000, "6750.00", "Salaries December 2020"),
    ];
    let head = "200 OK\r\ncontent-type: application/json\r\nodata-version: 4.0\r\n\r\n";
    assert_eq!(answer, format!("{head}{{\"responses\":[{}]}}", lines.join(",")));
}

/// JSON without the white space between its tokens.
fn compact(json: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let keep = |c: &char| {
        quoted ^= *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        quoted || !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

/// The documented answer differs in host, ids, etags and times alone: members, their order, values, spelling of numbers.
#[tokio::test]
async fn three_journal_lines_are_answered_as_documented() {
    let host = Host::start(&["--memory"]).await;
    let (request, answer) = journal_lines(&host).await;
    let documented = compact(&fixtures::read("documents/002-response.json"));
    let documented = documented.replace("https://bcsandbox.docker.local:7048/bc", "<host>");
    let ours = answer.split_once("\r\n\r\n").unwrap().1.replace(host.url(), "<host>");
    let known = format!("{request} 00000000-0000-0000-0000-000000000000");
    assert_eq!(normalise(&ours, &known), normalise(&documented, &known));
}

#[tokio::test]
async fn a_snapshot_batch_that_fails_applies_nothing() {
    let host = Host::start(&["--memory"]).await;
    let request = fixtures::read("documents/003-snapshot.json");
    let item = format!("{}/api/v2.0/items({ITEM})", host.url());
    let picture = format!("{item}/picture({ITEM})");
    let before = (get(item.clone()).await, get(picture.clone()).await);
    let headers = [JSON, ACCEPT, ("Isolation", "snapshot")];
    let answer = post(&format!("{}/api/v2.0/$batch", host.url()), &headers, request).await;
    let answer = normalise(&answer.replace(host.url(), "<host>").replace(NIL, "<nil>"), ITEM);
    let golden = [
        "200 OK\r\ncontent-type: application/json\r\nodata-version: 4.0\r\n\r\n",
        r#"{"responses":[{"id":null,"status":200,"headers":{"#,
        r#""content-type":"application/json; odata.metadata=minimal","odata-version":"4.0"},"body":"#,
        r#"{"@odata.context":"<host>/api/v2.0/$metadata#companies(<id>)/items/$entity","@odata.etag":"<etag>","#,
        r#""id":"7ce0af2e-0963-460f-9b1f-0014aea3e117","number":"1001","displayName":"Touring Bicycle v2","#,
        r#""displayName2":"","type":"Inventory","itemCategoryId":"<nil>","itemCategoryCode":"BIKES","blocked":false,"#,
        r#""gtin":"4006381333931","inventory":32,"unitPrice":4000,"priceIncludesTax":false,"unitCost":1857.5,"#,
        r#""taxGroupId":"<nil>","taxGroupCode":"","baseUnitOfMeasureId":"<nil>","baseUnitOfMeasureCode":"PCS","#,
        r#""generalProductPostingGroupId":"<nil>","generalProductPostingGroupCode":"","#,
        r#""inventoryPostingGroupId":"<nil>","inventoryPostingGroupCode":"","lastModifiedDateTime":"<time>"}"#,
        r#"},{"id":null,"status":204,"headers":{}},{"id":null,"status":400,"headers":{"#,
        r#""content-type":"application/json; odata.metadata=minimal","odata-version":"4.0"},"#,
        r#""body":{"error":{"code":"Unknown","message":"'Invalid Type' is not an option. "#,
        r"The existing options are: Inventory,Service,Non-Inventory  CorrelationId:  <id>.",
        r#""}}}]}"#,
    ];
    assert_eq!(answer, golden.concat());
    assert_eq!((get(item).await, get(picture).await), before);
}

/// The rows of a collection in the order of their text: the service does not promise any.
fn sorted(answer: &str) -> String {
    let (head, rest) = answer.split_once("\"value\":[{").unwrap();
    let (rows, tail) = rest.split_once("}]").unwrap();
    let mut rows: Vec<_> = rows.split("},{").collect();
    rows.sort_unstable();
    format!("{head}\"value\":[{{{}}}]{tail}", rows.join("},{"))
}

#[tokio::test]
async fn a_change_set_and_a_read_are_answered_by_the_byte() {
    let host = Host::start(&["--memory"]).await;
    let request = fixtures::read("documents/004-change-set.multipart");
    let headers = [("Content-Type", "multipart/mixed;boundary=batch_AAA123"), ACCEPT];
    let url = format!("{}/api/data/v8.2/$batch", host.url());
    let answer = post(&url, &headers, request.replace("{{org}}", host.url())).await;
    let seed =
        std::fs::read_to_string(tests::binaries::workspace().join("infra/services/dataverse/seed.json")).unwrap();
    let answer = sorted(&normalise(&answer.replace(host.url(), "<host>"), &seed));
    let part = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n";
    let task =
        |id: &str, subject: &str| format!(r#"{{"@odata.etag":"<etag>","subject":"{subject}","activityid":"{id}"}}"#);
    let created = |id: u32| {
        let task = "<host>/api/data/v8.2/tasks(<id>)";
        format!(
            "--changesetresponse_<id>\r\n{part}Content-ID: {id}\r\n\r\nHTTP/1.1 204 No Content\r\n\
             OData-Version: 4.0\r\nLocation: {task}\r\nOData-EntityId: {task}\r\n\r\n\r\n"
        )
    };
    let seeded = |last: u32| format!("c40a7be1-2f58-4d96-b3ac-916e0d27f58{last}");
    let tasks = [
        task("<id>", "Task 1 in batch"),
        task(&seeded(5), "Task 1"),
        task("<id>", "Task 2 in batch"),
        task(&seeded(6), "Task 2"),
        task(&seeded(7), "Task 3"),
        task(&seeded(4), "Task Created with Test Account"),
    ];
    let golden = [
        "200 OK\r\ncontent-type: multipart/mixed; boundary=batchresponse_<id>\r\nodata-version: 4.0\r\n\r\n".to_owned(),
        "--batchresponse_<id>\r\nContent-Type: multipart/mixed; boundary=changesetresponse_<id>\r\n\r\n".to_owned(),
        created(1),
        created(2),
        "--changesetresponse_<id>--\r\n".to_owned(),
        format!("--batchresponse_<id>\r\n{part}\r\nHTTP/1.1 200 OK\r\n"),
        "Content-Type: application/json; odata.metadata=minimal\r\nOData-Version: 4.0\r\n\r\n".to_owned(),
        r#"{"@odata.context":"<host>/api/data/v8.2/$metadata#tasks(subject)","value":["#.to_owned(),
        tasks.join(","),
        "]}\r\n--batchresponse_<id>--\r\n".to_owned(),
    ];
    assert_eq!(answer, sorted(&golden.concat()));
}

/// The request of the first two documents, twice: the documented reply, then the same members for a refusal.
#[tokio::test]
async fn a_failed_job_is_set_to_waiting_as_documented() {
    let host = Host::start(&["--memory"]).await;
    let url = format!("{}/data/BatchJobs/Microsoft.Dynamics.DataEntities.SetBatchJobToWaiting", host.url());
    let body = fixtures::read("documents/000-set-to-waiting.json");
    let headers = "content-type: application/json; odata.metadata=minimal\r\nodata-version: 4.0\r\n\r\n";
    let bearer = ("Authorization", "Bearer token");
    let done = concat!(
        r#"{"ResponseStatusCode":200,"IsSuccess":true,"Batch JobId":5637144576,"ExceptionDetails":"","#,
        r#""reponseMessage":"Status of supplied BatchJobId: 5637144576 is Successfully updated to waiting state"}"#
    );
    assert_eq!(post(&url, &[JSON, bearer], body.clone()).await, format!("200 OK\r\n{headers}{done}"));
    let refused = concat!(
        r#"{"ResponseStatusCode":409,"IsSuccess":false,"Batch JobId":5637144576,"ExceptionDetails":"The batch job "#,
        r#"5637144576 is Waiting; only a job that is Executing, Error, Finished, Canceled can be set to waiting.","#,
        r#""reponseMessage":""}"#
    );
    assert_eq!(post(&url, &[JSON, bearer], body).await, format!("409 Conflict\r\n{headers}{refused}"));
}
