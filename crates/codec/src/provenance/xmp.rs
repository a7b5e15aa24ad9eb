//! The XMP packet (XMP specification part 1): a small RDF document in XML, in which every program may have properties.

use std::ops::Range;

use roxmltree::{Document, Node, ParsingOptions};

use super::{
    NotEmbedded,
    edit::{Edit, apply},
};

/// Of our property. A URN, so that it names no host; with "#", since RDF puts the property's name right behind it.
const NAMESPACE: &str = "urn:atelier:recipe:1#";
const PROPERTY: &str = "recipe";
const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
/// Bounds of a packet that is looked into: far beyond what programs write.
const MAX_BYTES: usize = 256 << 10;
/// Each element has a copy of all namespaces around it.
const MAX_NAMESPACES: usize = 64;
const MAX_NODES: u32 = 100_000;

const UNREADABLE: NotEmbedded = NotEmbedded::Unfit("its XMP packet cannot be read");

/// A new packet, or the given one with all that it has, with the recipe.
pub(super) fn with_recipe(packet: Option<&[u8]>, recipe: &str) -> Result<Vec<u8>, NotEmbedded> {
    let made = match packet {
        None => new_packet(recipe).into_bytes(),
        Some(packet) => {
            let text = packet_text(packet).ok_or(UNREADABLE)?;
            let document = parse(text).ok_or(UNREADABLE)?;
            let edits = edits(text, &document, recipe).ok_or(UNREADABLE)?;
            apply(text.as_bytes(), &edits).ok_or(UNREADABLE)?.into()
        }
    };
    match packet_text(&made) {
        Some(_) => Ok(made),
        None => Err(NotEmbedded::Unfit("its recipe is too long")),
    }
}

/// The recipe in a packet, as an element or, as some programs write it again, as an attribute.
pub(super) fn recipe(packet: &[u8]) -> Option<String> {
    let document = parse(packet_text(packet)?)?;
    let text = |node: Node<'_, '_>| match is_recipe(&node) {
        true => node.text().map(str::to_owned),
        false => node.attribute((NAMESPACE, PROPERTY)).map(str::to_owned),
    };
    document.descendants().find_map(text)
}

fn new_packet(recipe: &str) -> String {
    let property = property(recipe);
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\
        <x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"{RDF}\">\
        <rdf:Description rdf:about=\"\" xmlns:xmp=\"http://ns.adobe.com/xap/1.0/\">\
        <xmp:CreatorTool>Atelier</xmp:CreatorTool>{property}</rdf:Description></rdf:RDF></x:xmpmeta>\
        <?xpacket end=\"w\"?>"
    )
}

fn property(recipe: &str) -> String {
    let text = escape(recipe);
    format!("<atelier:{PROPERTY} xmlns:atelier=\"{NAMESPACE}\">{text}</atelier:{PROPERTY}>")
}

/// What puts the recipe into a packet that is there: in the place of the former one, or in a description of its own.
fn edits(text: &str, document: &Document<'_>, recipe: &str) -> Option<Vec<Edit>> {
    let rdf = document
        .descendants()
        .find(|node| node.has_tag_name((RDF, "RDF")))?;
    let mut property = Some(property(recipe));
    let mut edits = Vec::new();
    for (range, is_element) in former(document) {
        let fits = is_element && rdf.range().contains(&range.start);
        let instead = property.take_if(|_| fits).unwrap_or_default();
        edits.push(Edit::replace(range, instead.into_bytes()));
    }
    if let Some(property) = property {
        let description = description(&rdf, &property);
        let at = end_tag(text, &rdf)?;
        edits.push(Edit::insert(at, description.into_bytes()));
        edits.sort_by_key(Edit::start);
    }
    Some(edits)
}

/// Where recipes stand already, in order and apart from each other, and whether each is an element.
fn former(document: &Document<'_>) -> Vec<(Range<usize>, bool)> {
    let attributes = document.descendants().flat_map(|node| node.attributes());
    let attributes = attributes
        .filter(|it| (it.namespace(), it.name()) == (Some(NAMESPACE), PROPERTY))
        .map(|attribute| (attribute.range(), false));
    let elements = document.descendants().filter(is_recipe);
    let mut former: Vec<_> = elements.map(|element| (element.range(), true)).collect();
    former.extend(attributes);
    former.sort_by_key(|(range, _)| range.start);
    let mut end = 0;
    former.retain(|(range, _)| {
        let apart = range.start >= end;
        end = end.max(range.end);
        apart
    });
    former
}

/// Where the end tag of an element starts; `None` if it has none.
fn end_tag(text: &str, element: &Node<'_, '_>) -> Option<usize> {
    let range = element.range();
    let whole = text.get(range.clone())?;
    (!whole.ends_with("/>")).then_some(range.start + whole.rfind("</")?)
}

/// All descriptions of a packet are about the same thing, so this one says what the others say.
fn description(rdf: &Node<'_, '_>, property: &str) -> String {
    let about = rdf
        .children()
        .find_map(|node| node.attribute((RDF, "about")));
    let about = escape(about.unwrap_or_default());
    format!(
        "<rdf:Description xmlns:rdf=\"{RDF}\" rdf:about=\"{about}\">{property}</rdf:Description>"
    )
}

fn is_recipe(node: &Node<'_, '_>) -> bool {
    node.has_tag_name((NAMESPACE, PROPERTY))
}

fn packet_text(packet: &[u8]) -> Option<&str> {
    if packet.len() > MAX_BYTES {
        return None;
    }
    let text = std::str::from_utf8(packet).ok()?.trim_end_matches('\0');
    (text.matches("xmlns").count() <= MAX_NAMESPACES).then_some(text)
}

/// Without a document type, so there are no entities that could grow.
fn parse(text: &str) -> Option<Document<'_>> {
    let options = ParsingOptions {
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).ok()
}

/// A text as XML says it. The two characters that no XML may hold are said as JSON says them: they can only stand in a JSON
/// text's strings.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 4);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{fffe}' => escaped.push_str("\\ufffe"),
            '\u{ffff}' => escaped.push_str("\\uffff"),
            other => escaped.push(other),
        }
    }
    escaped
}
