//! JSON text without insignificant white space.

/// Takes the white space between tokens out of valid JSON.
pub(super) fn compact(json: &str) -> Box<str> {
    let mut compact = String::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in json.chars() {
        match (in_string, character) {
            (false, ' ' | '\t' | '\n' | '\r') => continue,
            (false, '"') => in_string = true,
            (true, '"') if !escaped => in_string = false,
            _ => {}
        }
        escaped = in_string && character == '\\' && !escaped;
        compact.push(character);
    }
    compact.into()
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn white_space_stays_in_strings_alone() {
        assert_eq!(&*compact("{ \"a b\" : [ 1 , \"\\\" c\\\\\" ] }\n"), "{\"a b\":[1,\"\\\" c\\\\\"]}");
    }
}
