//! The reader against `quick-xml`, which says what XML means, and against itself where the stream is cut elsewhere.

use super::{Token, Xml, XmlError};
use proptest::prelude::*;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read};

/// What a walk sees: elements that begin with `t` are read as text, those that begin with `s` are passed over.
fn walk(source: impl BufRead) -> Result<String, XmlError> {
    let mut xml = Xml::new(source);
    let mut seen = String::new();
    loop {
        let name = match xml.next()? {
            Token::Open(element) => {
                write!(seen, "<{}", element.name()).unwrap();
                for attribute in element.attributes() {
                    let (name, value) = attribute?;
                    write!(seen, " {name}={value:?}").unwrap();
                }
                element.name().to_owned()
            }
            Token::Close => {
                seen.push('/');
                continue;
            }
            Token::End => return Ok(seen),
        };
        if name.starts_with('t') {
            let mut text = String::new();
            xml.text_into(&mut text)?;
            write!(seen, "{text:?}").unwrap();
        } else if name.starts_with('s') {
            xml.skip()?;
        }
    }
}

/// The same walk, by `quick-xml`; `None` where it finds a fault.
fn walk_of_another(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    reader.config_mut().check_comments = true;
    let mut seen = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = start.name().into_inner();
                let attributes = shown_attributes(&start)?;
                write!(seen, "<{name}{attributes}").unwrap();
                if name.starts_with('t') {
                    write!(seen, "{:?}", text_of_another(&mut reader)?).unwrap();
                } else if name.starts_with('s') {
                    reader.read_to_end(start.name()).ok()?;
                }
            }
            Event::End(_) => seen.push('/'),
            Event::Eof => return Some(seen),
            _ => {}
        }
    }
}

fn shown_attributes(start: &BytesStart<'_>) -> Option<String> {
    let mut shown = String::new();
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.ok()?;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).ok()?;
        write!(shown, " {}={value:?}", attribute.key.into_inner()).unwrap();
    }
    Some(shown)
}

fn text_of_another(reader: &mut Reader<&[u8]>) -> Option<String> {
    let mut text = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(name) => match name.resolve_char_ref().ok()? {
                Some(character) => text.push(character),
                None => text.push_str(quick_xml::escape::resolve_predefined_entity(&name)?),
            },
            Event::End(_) => return Some(text),
            Event::Comment(_) | Event::PI(_) => {}
            _ => return None,
        }
    }
}

/// A source that has a few bytes at a time.
struct Pieces<'t>(&'t [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.len().min(self.1).min(buffer.len());
        let (now, later) = self.0.split_at(piece);
        buffer[..piece].copy_from_slice(now);
        self.0 = later;
        Ok(piece)
    }
}

const DOCUMENT: &str = "\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<!-- a - b --><root a = \"1\" b='&lt;&#x20AC;&#65; \"'\tc=\"x>y\">\
    <t>one\r\ntwo\rthree &amp; \u{e9}\u{4e00}<!-- no --><![CDATA[<&]] ]>]]><?pi ?></t>\n<t/><empty x=\"\"/><e ></e\n>\
    <s a='b'>text<s/>&gt;<t>more<![CDATA[</s>]]></t><!--</s>--></s></root>\n<!---->\n";

#[test]
fn a_stream_may_be_cut_anywhere() {
    let whole = walk(DOCUMENT.as_bytes()).unwrap();
    insta::assert_snapshot!(whole, @r#"<root a="1" b="<€A \"" c="x>y"<t"one\ntwo\nthree & é一<&]] ]>"<t""<empty x=""/<e/<s a="b"/"#);
    assert_eq!(walk_of_another(DOCUMENT).unwrap(), whole);
    for size in 1..DOCUMENT.len() {
        let pieces = BufReader::new(Pieces(DOCUMENT.as_bytes(), size));
        assert_eq!(walk(pieces).unwrap(), whole, "{size}");
        let half = &DOCUMENT.as_bytes()[..size];
        let has = |part: &[u8]| half.windows(part.len()).any(|window| window == part);
        if has(b"<root") && !has(b"</root>") {
            assert!(walk(half).is_err(), "{size}");
        }
    }
}

#[test]
fn what_is_not_well_formed_is_told_with_its_place() {
    let told = [
        ("<a", "a `<` whose end is missing"),
        ("<a></b>", "not the innermost"),
        ("<a></ab>", "not the innermost"),
        ("</a>", "not open"),
        ("<a b></a>", "without a value"),
        ("<a b=1></a>", "without quotes"),
        ("<a b='<'></a>", "`<` inside a value"),
        ("<a b=''c=''></a>", "no blank"),
        ("<a / ></a>", "`/` inside a tag"),
        ("< a></a>", "tag without a name"),
        ("<></>", "tag without a name"),
        ("<a =''/>", "attribute without a name"),
        ("<!-- -- --><a/>", "`--` inside a comment"),
        ("<!ELEMENT a>", "begins nothing"),
        ("<a><?xml version='1.0'?></a>", "declaration inside"),
        ("<t>&</t>", "begins no reference"),
        ("<t>&#+1;</t>", "begins no reference"),
        ("<t>&#xd800;</t>", "begins no reference"),
        ("<t>&nbsp;</t>", "`&nbsp;` at byte 3"),
        ("<a b='&#1;'/>", "control character at byte 0"),
        ("<a>x</a>", "`x` at byte 3 is out of place"),
        ("<a><![CDATA[x]]></a>", "`x` at byte 3 is out of place"),
        ("<a>", "ends inside an element, after 3 bytes"),
        ("<?xml encoding='latin1'?><a/>", "declared as `latin1`"),
    ];
    for (text, expected) in told {
        let error = walk(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(matches!(
        walk(&b"<a>\xff</a>"[..]),
        Err(XmlError::NotText { .. })
    ));
}

proptest! {
    #[test]
    fn what_is_read_is_what_another_reader_reads(text in "(<[ast]( [bc]=(\"[x>&;'\n]{0,3}\"|'\u{e9}&lt;'))?/?>|</[ast]>|<!--[x-]{0,2}-->|<!\\[CDATA\\[[x\\]>]{0,3}\\]\\]>|[ \r\n]|x|&amp;|&#9;|<\\?p x\\?>){0,12}") {
        if let Ok(seen) = walk(text.as_bytes()) {
            prop_assert_eq!(walk_of_another(&text), Some(seen));
        }
    }

    #[test]
    fn well_formed_text_is_read(parts in proptest::collection::vec(("[a-z:_-][a-z.0-9]{0,3}", "[ -~\u{e9}]{0,9}"), 0..6)) {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        let elements: Vec<_> = parts.iter().map(|(name, text)| {
            format!("<t{name} {name}=\"{0}\">{0}</t{name}> <e/>", escaped(text))
        }).collect();
        let text = format!("<r>{}</r>", elements.concat());
        let expected: Vec<_> = parts.iter().map(|(name, text)| {
            format!("<t{name} {name}={text:?}{text:?}<e/")
        }).collect();
        prop_assert_eq!(walk(text.as_bytes()).unwrap(), format!("<r{}/", expected.concat()));
    }

    #[test]
    fn a_cut_changes_nothing(text in "[<>/&;!\\[\\]a-c=\"'# \r\n?-]{0,60}", size in 1_usize..9) {
        let whole = walk(text.as_bytes());
        let cut = walk(BufReader::new(Pieces(text.as_bytes(), size)));
        prop_assert_eq!(format!("{whole:?}"), format!("{cut:?}"));
    }
}
