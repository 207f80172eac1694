//! Pictures of items and customers: entities that exist with their parent, and their content as a stream.

use serde_json::{Value, json};
use tests::service::{Answer, TestService};

/// An item of the seed that nobody has given a picture.
const ITEM: &str = "a4d85f19-0c6b-4e73-8b92-5fd3071ec6aa";
const CUSTOMER: &str = "b7e1c045-2f96-4d83-a51b-8c07d3e9f621";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\xff--b\r\n";
const ANY: (&str, &str) = ("If-Match", "*");

fn picture(item: &str) -> String {
    format!("items({item})/picture({item})")
}

async fn central() -> TestService {
    TestService::business_central().await
}

/// Writes the content of a picture.
async fn write(service: &TestService, url: &str, media_type: &str, body: &[u8]) -> Answer {
    let headers = [("Content-Type", media_type), ANY];
    service.send("PATCH", &format!("{url}/pictureContent"), &headers, body.to_vec()).await
}

#[tokio::test]
async fn every_item_and_customer_has_a_picture_from_the_start() {
    let service = central().await;
    for (parent, kind) in [(format!("items({ITEM})"), "Item"), (format!("customers({CUSTOMER})"), "Customer")] {
        let read = service.get(&format!("{parent}/picture")).await;
        assert_eq!(read.status, 200, "{}", read.text());
        let id = parent.split(['(', ')']).nth(1).unwrap();
        let content = format!(
            "http://host/api/v2.0/companies(9f161476-1d3d-eb11-bb72-000d3a2b9218)/{parent}/picture({id})/pictureContent"
        );
        let body = read.json();
        let members =
            ["id", "parentType", "width", "height", "contentType", "contentValue"].map(|name| body[name].clone());
        assert_eq!(members, [json!(id), json!(kind), json!(0), json!(0), json!(""), Value::Null]);
        assert_eq!(body["pictureContent@odata.mediaEditLink"], json!(content));
        assert_eq!(body["pictureContent@odata.mediaReadLink"], json!(content));
        assert!(body.get("pictureContent").is_none());
        assert_eq!(service.get(&format!("{parent}/picture({id})")).await.json(), body);
        assert_eq!(service.get(&format!("{parent}/picture({id})/pictureContent")).await.status, 204);
        assert_eq!(service.get(&format!("{parent}/picture({id})/contentType/$value")).await.text(), "");
    }
    assert_eq!(service.get(&format!("items({ITEM})/picture({CUSTOMER})")).await.status, 404);
    assert_eq!(service.get(&format!("items({CUSTOMER})/picture")).await.status, 404);
    assert_eq!(service.post(&format!("items({ITEM})/picture"), json!({})).await.status, 405);
}

#[tokio::test]
async fn the_documented_batch_works_for_every_item() {
    let service = central().await;
    let patch = |url: String, value: Value| {
        let headers = json!({ "If-Match": "*", "Content-Type": "application/json" });
        json!({ "method": "PATCH", "url": url, "headers": headers, "body": value })
    };
    let created = service.post("items", json!({ "number": "NEW" })).await.json();
    for item in [ITEM, created["id"].as_str().unwrap()] {
        let value = format!("{}/contentValue", picture(item));
        let requests = json!([
            patch(format!("items({item})"), json!({ "displayName": "v2" })),
            patch(value.clone(), json!({ "value": "Picture Blob" })),
        ]);
        for _ in 0..2 {
            let answer = service.batch(&[("Isolation", "snapshot")], requests.clone()).await;
            assert_eq!(answer.statuses(), [200, 204], "{}", answer.text());
        }
        assert_eq!(service.get(&format!("{value}/$value")).await.text(), "Picture Blob");
        assert_eq!(service.get(&format!("items({item})/picture")).await.json()["contentValue"], "Picture Blob");
    }
}

#[tokio::test]
async fn an_etag_of_an_unwritten_picture_is_good_for_its_first_write_only() {
    let service = central().await;
    let url = picture(ITEM);
    let etag = service.get(&url).await.etag();
    assert_eq!(service.get(&url).await.etag(), etag);
    let change = |etag: String| {
        let service = &service;
        let url = &url;
        async move { service.patch(url, &[("If-Match", &etag)], json!({ "width": 4 })).await }
    };
    assert_eq!(change("W/\"other.1\"".into()).await.status, 409);
    assert_eq!(change(etag.clone()).await.status, 200);
    assert_eq!(change(etag.clone()).await.status, 409);
    let written = service.get(&url).await;
    assert_eq!((written.json()["width"].clone(), written.json()["parentType"].clone()), (json!(4), json!("Item")));
    assert_eq!(change(written.etag()).await.status, 200);

    assert_eq!(service.delete(&url).await.status, 204);
    assert_eq!((service.get(&url).await.json()["width"].clone(), service.get(&url).await.etag()), (json!(0), etag));
    assert_eq!(service.delete(&url).await.status, 204);
    assert_eq!(service.patch(&url, &[], json!({ "width": 4 })).await.status, 400, "the profile asks for If-Match");
}

#[tokio::test]
async fn a_picture_goes_with_its_item() {
    let service = central().await;
    let url = picture(ITEM);
    assert_eq!(write(&service, &url, "image/png", PNG).await.status, 204);
    assert_eq!(service.delete(&format!("items({ITEM})")).await.status, 204);
    assert_eq!(service.get(&format!("{url}/pictureContent")).await.status, 404);
    assert_eq!(write(&service, &url, "image/png", PNG).await.status, 404);
    let again = service.post("items", json!({ "id": ITEM, "number": "1100" })).await;
    assert_eq!(again.status, 201, "{}", again.text());
    assert_eq!(service.get(&format!("{url}/pictureContent")).await.status, 204);
}

#[tokio::test]
async fn content_is_written_and_read_as_bytes() {
    let service = central().await;
    for (parent, media_type, kept) in [
        (format!("items({ITEM})"), "application/octet-stream", "image/png"),
        (format!("customers({CUSTOMER})"), "Image/WebP; q=1", "image/webp"),
    ] {
        for url in
            [format!("{parent}/picture"), format!("{parent}/picture({})", &parent[parent.len() - 37..parent.len() - 1])]
        {
            assert_eq!(write(&service, &url, media_type, PNG).await.status, 204);
            let read = service.send("GET", &format!("{url}/pictureContent"), &[("Accept", "image/*")], "").await;
            assert_eq!((read.status, read.header("content-type")), (200, kept));
            assert_eq!(read.body, PNG);
            assert_eq!(service.get(&url).await.json()["contentType"], kept);
        }
        let content = format!("{parent}/picture/pictureContent");
        assert_eq!(service.delete(&content).await.status, 204);
        assert_eq!(service.get(&content).await.status, 204);
        assert_eq!(service.get(&format!("{parent}/picture")).await.json()["contentType"], "");
    }
}

#[tokio::test]
async fn content_of_another_media_type_or_inside_json_is_refused() {
    let service = central().await;
    let url = picture(ITEM);
    for media_type in ["application/json", "text/plain"] {
        let refused = write(&service, &url, media_type, PNG).await;
        assert_eq!(refused.status, 415);
        assert!(refused.message().contains("but application/octet-stream, image/*"), "{}", refused.message());
    }
    let inside = service.patch(&url, &[ANY], json!({ "pictureContent": "AAAA" })).await;
    assert_eq!(inside.status, 400);
    assert!(inside.message().contains("at its own URL"), "{}", inside.message());
    // A client may send back the entity that it has read.
    let mut body = service.get(&url).await.json();
    body["height"] = json!(7);
    assert_eq!(service.patch(&url, &[ANY], body).await.status, 200);
    assert_eq!(service.get("items?$filter=number%20eq%20'1100'&$select=number").await.rows().len(), 1);
}

/// The property that holds the media type is any text: what is no media type of the stream never becomes a header, nor bytes a
/// part of the envelope of a batch.
#[tokio::test]
async fn content_is_octets_where_its_media_type_is_none_that_the_stream_takes() {
    let service = central().await;
    let url = picture(ITEM);
    assert_eq!(write(&service, &url, "image/png", PNG).await.status, 204);
    for other in ["application/json", "text/html", "image/png\r\nX: 1", "image/\u{e9}", ""] {
        let change = json!({ "contentType": other });
        assert_eq!(service.patch(&url, &[ANY], change).await.status, 200);
        let requests = json!([{ "id": "1", "method": "GET", "url": format!("{url}/pictureContent") }]);
        let answer = service.batch(&[], requests).await;
        let read = &answer.responses()[0];
        assert_eq!((&read["status"], &read["body"]), (&json!(200), &json!("iVBORw0KGgoA_y0tYg0K")), "{other}");
        assert_eq!(read["headers"]["content-type"], "application/octet-stream", "{other}");
    }
}

#[tokio::test]
async fn content_goes_up_to_the_size_of_an_item() {
    let service = central().await;
    let url = picture(ITEM);
    for written in [false, true] {
        let refused = write(&service, &url, "image/png", &vec![7; 410_000]).await;
        assert_eq!(refused.status, 413, "{written}");
        assert!(refused.message().contains("409600"), "{}", refused.message());
        assert_eq!(write(&service, &url, "image/png", &vec![7; 400_000]).await.status, 204);
    }
    assert_eq!(service.get(&format!("{url}/pictureContent")).await.body.len(), 400_000);
    // Together with what is there already it would be more than an item holds.
    let text = json!({ "value": "x".repeat(20_000) });
    let refused = service.patch(&format!("{url}/contentValue"), &[ANY], text).await;
    assert_eq!(refused.status, 413, "{}", refused.text());
    assert_eq!(service.get(&format!("{url}/pictureContent")).await.body.len(), 400_000);
}

#[tokio::test]
async fn content_goes_through_batches_of_both_formats() {
    let service = central().await;
    let url = format!("{}/pictureContent", picture(ITEM));
    let bytes = "iVBORw0KGgoA_y0tYg0K";
    let headers = json!({ "If-Match": "*", "Content-Type": "application/octet-stream" });
    let requests = json!([
        { "id": "1", "method": "PATCH", "url": url, "headers": headers, "body": bytes },
        { "id": "2", "method": "GET", "url": url },
        { "id": "3", "method": "PATCH", "url": url, "headers": { "If-Match": "*" }, "body": bytes },
    ]);
    let answer = service.batch(&[("Prefer", "odata.continue-on-error")], requests).await;
    assert_eq!(answer.statuses(), [204, 200, 415], "{}", answer.text());
    let read = &answer.responses()[1];
    assert_eq!((&read["body"], &read["headers"]["content-type"]), (&json!(bytes), &json!("image/png")));
    assert_eq!(service.get(&url).await.body, PNG);

    let part = "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let mut body = format!("{part}PATCH {url} HTTP/1.1\r\nIf-Match: *\r\nContent-Type: image/gif\r\n\r\n").into_bytes();
    body.extend_from_slice(b"GIF89a\x00\xfe\r\n");
    body.extend_from_slice(format!("{part}GET {url} HTTP/1.1\r\n\r\n--b--\r\n").as_bytes());
    let answer = service.send("POST", "$batch", &[("Content-Type", "multipart/mixed; boundary=b")], body).await;
    let inner = answer.body.windows(8).any(|bytes| bytes == b"GIF89a\x00\xfe");
    assert!(answer.status == 200 && inner, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(service.get(&url).await.body.as_ref(), b"GIF89a\x00\xfe");
}

#[tokio::test]
async fn a_picture_can_come_with_a_new_item() {
    let service = central().await;
    let created = service.post("items", json!({ "number": "P", "picture": { "width": 3, "height": 4 } })).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let body = created.json();
    let url = format!("items({})/picture", body["id"].as_str().unwrap());
    let picture = service.get(&url).await.json();
    assert_eq!(
        (&body["picture"]["width"], &picture["width"], &picture["parentType"]),
        (&json!(3), &json!(3), &json!("Item"))
    );
}

#[tokio::test]
async fn what_holds_no_bytes_does_not_take_them_away() {
    let service = central().await;
    let url = picture(ITEM);
    assert_eq!(write(&service, &url, "image/png", PNG).await.status, 204);
    let replaced = service.write("PUT", &url, &[ANY], json!({ "width": 1, "contentType": "image/png" })).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text());
    let null = service.patch(&format!("items({ITEM})"), &[ANY], json!({ "picture": null })).await;
    assert_eq!(null.status, 501, "{}", null.text());
    assert_eq!(service.get(&format!("{url}/pictureContent")).await.body, PNG);
    assert_eq!(service.get(&format!("items({ITEM})/picture({CUSTOMER})")).await.message().matches(CUSTOMER).count(), 1);
}
