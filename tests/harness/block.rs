//! What is generated in a document: a block, between `<!-- NAME -->` and `<!-- /NAME -->`.

/// The document up to the text of that block, the text, and the rest; none if it has no such block.
pub fn block<'a>(document: &'a str, name: &str) -> Option<[&'a str; 3]> {
    let start = format!("<!-- {name} -->\n");
    let (before, rest) = document.split_at(document.find(&start)? + start.len());
    let (text, after) = rest.split_at(rest.find(&format!("<!-- /{name} -->"))?);
    Some([before, text, after])
}
