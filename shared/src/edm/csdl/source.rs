//! The XML document as elements that contain elements.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::CsdlProblem;

/// Deepest nesting of elements that are read; deeper ones are in annotations nobody reads.
const MAX_DEPTH: usize = 256;

/// A problem at an offset of the document.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) problem: CsdlProblem,
}

/// The document, read forward.
pub(super) struct Source<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
}

/// A start tag.
pub(super) struct Element {
    /// Without prefix.
    name: String,
    /// Names as written, and values.
    attributes: Vec<(String, String)>,
    /// Offset of its `<`.
    pub(super) offset: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self { reader, depth: 0 }
    }

    /// The next element inside the current one, or `None` at the current one's end.
    ///
    /// The caller reads the element's own children to their end (or calls [`Self::skip`]) before it asks again.
    pub(super) fn child(&mut self) -> Result<Option<Element>, Fault> {
        let Some((start, offset)) = self.start()? else { return Ok(None) };
        Element::new(&start, offset).map(Some)
    }

    /// The next start tag, with its offset, or `None` at the end of the current element.
    fn start(&mut self) -> Result<Option<(BytesStart<'a>, usize)>, Fault> {
        loop {
            let offset = self.position();
            match self.event()? {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(self.malformed(format!("elements are nested deeper than {MAX_DEPTH} levels")));
                    }
                    return Ok(Some((start, offset)));
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(None);
                }
                Event::Eof if self.depth == 0 => return Ok(None),
                Event::Eof => return Err(self.malformed("the document ends inside an element".into())),
                _ => {}
            }
        }
    }

    /// Passes over the children of the element just met.
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        let outer = self.depth.saturating_sub(1);
        while self.depth > outer {
            self.start()?;
        }
        Ok(())
    }

    /// The text of the element just met; elements in it are passed over.
    pub(super) fn text(&mut self) -> Result<String, Fault> {
        let outer = self.depth.saturating_sub(1);
        let mut text = String::new();
        while self.depth > outer {
            match self.event()? {
                Event::Start(_) => {
                    self.depth += 1;
                    self.skip()?;
                }
                Event::End(_) => self.depth = self.depth.saturating_sub(1),
                Event::Text(part) => text.push_str(&part.into_inner()),
                Event::CData(part) => text.push_str(&part.into_inner()),
                Event::Eof => return Err(self.malformed("the document ends inside an element".into())),
                _ => {}
            }
        }
        Ok(text.trim().into())
    }

    fn event(&mut self) -> Result<Event<'a>, Fault> {
        self.reader.read_event().map_err(|error| Fault {
            offset: usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX),
            problem: CsdlProblem::Xml(error.to_string()),
        })
    }

    fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn malformed(&self, message: String) -> Fault {
        Fault { offset: self.position(), problem: CsdlProblem::Xml(message) }
    }
}

impl Element {
    fn new(start: &BytesStart<'_>, offset: usize) -> Result<Self, Fault> {
        let fault = |message| Fault { offset, problem: CsdlProblem::Xml(message) };
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| fault(error.to_string()))?;
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| fault(error.to_string()))?;
            attributes.push((attribute.key.into_inner().to_owned(), value.into_owned()));
        }
        Ok(Self { name: start.local_name().into_inner().to_owned(), attributes, offset })
    }

    /// Name without prefix.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// An attribute's value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// An attribute's value that must be there.
    pub(super) fn require(&self, name: &'static str) -> Result<String, Fault> {
        self.get(name)
            .map(str::to_owned)
            .ok_or_else(|| self.fault(CsdlProblem::MissingAttribute { element: self.name().into(), attribute: name }))
    }

    /// A Boolean attribute.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(value) => Err(self.bad(name, value)),
        }
    }

    /// The fault of an attribute with a value it cannot have.
    pub(super) fn bad(&self, attribute: &'static str, value: &str) -> Fault {
        let owner = self.get("Name").unwrap_or(&self.name).to_owned();
        self.fault(CsdlProblem::BadAttribute { owner, attribute, value: value.into() })
    }

    pub(super) fn fault(&self, problem: CsdlProblem) -> Fault {
        Fault { offset: self.offset, problem }
    }
}
