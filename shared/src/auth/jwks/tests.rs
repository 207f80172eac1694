use std::{fs, path::Path};

use jiff::SignedDuration;
use tempfile::TempDir;

use super::{source::MAX_KEY_SET, *};

/// Two keys; which one a set has does not matter here.
const KEYS: [&str; 2] = ["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "SDaLNAxxE3xTdJUjv1EqTD-GUh_n8bVuIyHAKJ3DNNY"];
const LIFETIME: Duration = Duration::from_mins(10);

fn write(path: &Path, key: &str) {
    let json = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{key}"}}]}}"#);
    fs::write(path, json).unwrap();
}

fn in_file() -> (TempDir, std::path::PathBuf, Keys) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let keys = Keys::at(path.to_str().unwrap(), LIFETIME).unwrap();
    (folder, path, keys)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn keys_are_fetched_again_when_they_are_old() {
    let (_folder, path, keys) = in_file();
    write(&path, KEYS[0]);
    let first = keys.current(at(0)).await.unwrap();
    write(&path, KEYS[1]);
    for now in [-1, 1, 599] {
        assert!(Arc::ptr_eq(&first, &keys.current(at(now)).await.unwrap()));
    }
    let second = keys.current(at(600)).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    // A clock that was set back by more than a lifetime.
    assert!(!Arc::ptr_eq(&second, &keys.current(at(-60)).await.unwrap()));
}

#[tokio::test]
async fn old_keys_are_used_while_there_are_no_new_ones_but_not_for_ever() {
    let (_folder, path, keys) = in_file();
    write(&path, KEYS[0]);
    let first = keys.current(at(0)).await.unwrap();
    for (now, broken) in [(700, "{}"), (720, "no JSON"), (740, ""), (4199, "{}")] {
        fs::write(&path, broken).unwrap();
        assert!(Arc::ptr_eq(&first, &keys.current(at(now)).await.unwrap()), "{now}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(keys.current(at(4200)).await.unwrap_err(), AuthError::NoKeys { retry_after: RETRY });
    write(&path, KEYS[0]);
    assert!(keys.current(at(4201)).await.is_ok());
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_only_so_often() {
    let (_folder, path, keys) = in_file();
    write(&path, KEYS[0]);
    let first = keys.current(at(0)).await.unwrap();
    write(&path, KEYS[1]);
    for now in [0, 5, 9] {
        assert!(keys.other_than(&first, at(now)).await.is_none());
    }
    let second = keys.other_than(&first, at(10)).await.unwrap();
    // Whoever still has the old ones gets the new ones without another question.
    assert!(Arc::ptr_eq(&second, &keys.other_than(&first, at(11)).await.unwrap()));
    assert!(keys.other_than(&second, at(11)).await.is_none());
}

#[tokio::test]
async fn without_keys_there_is_a_question_a_second() {
    let (_folder, path, keys) = in_file();
    assert!(keys.current(at(0)).await.is_err());
    write(&path, KEYS[0]);
    assert!(keys.current(at(0)).await.is_err());
    assert!(keys.current(at(1)).await.is_ok());
}

#[tokio::test]
async fn a_key_set_that_is_too_long_is_not_read() {
    let (_folder, path, keys) = in_file();
    write(&path, &format!("{}{}", KEYS[0], " ".repeat(MAX_KEY_SET)));
    assert!(keys.current(at(0)).await.is_err());
}
