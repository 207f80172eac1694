//! Answers as golden texts: what differs from run to run becomes a placeholder.

/// Replaces new ids by `<id>`, etags by `<etag>` and times by `<time>`. The ids that `known` mentions stay.
pub fn normalise(text: &str, known: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, placeholder) = if let Some(length) = etag(rest) {
            (length, "<etag>")
        } else if let Some(length) = time(rest) {
            (length, "<time>")
        } else if let Some(id) = rest.get(..36).filter(|id| is_id(id) && !known.contains(id)) {
            (id.len(), "<id>")
        } else {
            let end = first.len_utf8();
            out.push(first);
            rest = rest.get(end..).unwrap_or_default();
            continue;
        };
        out.push_str(placeholder);
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

fn etag(text: &str) -> Option<usize> {
    let quote = ["W/\\\"", "W/\""].into_iter().find(|start| text.starts_with(start))?;
    let end = quote.trim_start_matches("W/");
    let inside = text.get(quote.len()..)?;
    Some(quote.len() + inside.find(end)? + end.len())
}

fn time(text: &str) -> Option<usize> {
    if !like(text.get(..19)?, "dddd-dd-ddTdd:dd:dd") {
        return None;
    }
    let end = text.find('Z')?;
    let fraction = text.get(19..end)?;
    (fraction.is_empty() || fraction.starts_with('.') && fraction.bytes().skip(1).all(|b| b.is_ascii_digit()))
        .then_some(end + 1)
}

fn is_id(text: &str) -> bool {
    like(text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh")
}

/// Whether a text has a form: `d` is a digit, `h` a hexadecimal one, everything else itself.
fn like(text: &str, form: &str) -> bool {
    text.len() == form.len()
        && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            b'h' => byte.is_ascii_hexdigit(),
            _ => byte == form,
        })
}
