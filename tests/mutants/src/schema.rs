//! One file with all its mutants: functions found by `syn`, bodies rewritten as text.

use proc_macro2::LineColumn;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::Stop;
use crate::list::{Mutant, Place};

/// A source file, its functions and the mutants in them.
pub(crate) struct Source {
    text: String,
    /// In the order they begin in; a function inside another follows it.
    functions: Vec<Function>,
}

/// A function that has mutants, or once had.
struct Function {
    /// Where its signature begins, in bytes.
    head: usize,
    /// The body with its braces, in bytes.
    body: (usize, usize),
    /// Its number among all functions of all files.
    point: usize,
    returns: Returns,
    /// The mutants of this function and of no function inside it.
    mutants: Vec<Change>,
}

/// What the return type allows.
enum Returns {
    /// Every alternative may return by itself.
    OneType,
    /// `impl` this trait: the alternatives have to be made one type.
    Some(String),
}

/// A mutant's change of the text.
struct Change {
    id: usize,
    /// In bytes.
    span: (usize, usize),
    replacement: String,
}

/// Where something stands in a rewritten file: first and last line.
pub(crate) struct Region {
    /// The mutant's number, or `None` for a function as it is.
    pub(crate) mutant: Option<usize>,
    pub(crate) point: usize,
    pub(crate) lines: (usize, usize),
}

impl Source {
    /// Finds the functions that have mutants. Functions are numbered from `points` on, which is raised; `place_of` is told the
    /// number of every mutant's function.
    pub(crate) fn read<'a>(
        text: String,
        mutants: impl Iterator<Item = (usize, &'a Mutant)>,
        points: &mut usize,
        mut place_of: impl FnMut(usize, usize),
    ) -> Result<Source, Stop> {
        let lines = Lines::of(&text);
        let mut found = Found { lines: &lines, bodies: Vec::new() };
        found.visit_file(&syn::parse_file(&text)?);
        let mut functions: Vec<Function> = found
            .bodies
            .into_iter()
            .map(|(head, body, returns)| Function { head, body, point: 0, returns, mutants: Vec::new() })
            .collect();
        functions.sort_by_key(|function| function.body.0);
        for (id, mutant) in mutants {
            let span = (lines.offset(mutant.span.start), lines.offset(mutant.span.end));
            // The last to begin before it is the innermost.
            let within = |function: &&mut Function| function.body.0 < span.0 && span.1 < function.body.1;
            let function = functions.iter_mut().rfind(within);
            let function = function.ok_or_else(|| format!("{} is in no function", mutant.name))?;
            let replacement = if mutant.replacement.is_empty() { " ".to_owned() } else { mutant.replacement.clone() };
            function.mutants.push(Change { id, span, replacement });
        }
        functions.retain(|function| !function.mutants.is_empty());
        for function in &mut functions {
            function.point = *points;
            *points += 1;
            function.mutants.iter().for_each(|change| place_of(change.id, function.point));
        }
        Ok(Source { text, functions })
    }

    /// The file with every mutant that is still wanted, and where each stands.
    pub(crate) fn rewritten(&self, wanted: impl Fn(usize) -> bool) -> (String, Vec<Region>) {
        let mut page = Page { text: String::new(), line: 1, regions: Vec::new() };
        self.write(&mut page, (0, self.text.len()), &self.functions, &wanted);
        (page.text, page.regions)
    }

    fn write(&self, page: &mut Page, range: (usize, usize), functions: &[Function], wanted: &impl Fn(usize) -> bool) {
        let mut at = range.0;
        let mut rest = functions;
        while let Some((function, behind)) = rest.split_first() {
            let inside = behind.iter().take_while(|other| other.body.0 < function.body.1).count();
            let (inside, behind) = behind.split_at(inside);
            page.push(&self.text[at..function.head]);
            let first = page.line;
            page.push(&self.text[function.head..function.body.0]);
            self.write_function(page, function, inside, wanted);
            page.regions.push(Region { mutant: None, point: function.point, lines: (first, page.line) });
            at = function.body.1;
            rest = behind;
        }
        page.push(&self.text[at..range.1]);
    }

    fn write_function(
        &self,
        page: &mut Page,
        function: &Function,
        inside: &[Function],
        wanted: &impl Fn(usize) -> bool,
    ) {
        let changes: Vec<&Change> = function.mutants.iter().filter(|change| wanted(change.id)).collect();
        page.push(&format!("{{ match crate::mutant_switch::at({}) {{\n", function.point));
        let (before, after) = match &function.returns {
            Returns::OneType => ("return ".to_owned(), ""),
            Returns::Some(of) => (format!("return {{ let some: Box<dyn {of} + '_> = Box::new("), "); some }"),
        };
        for change in changes {
            let first = page.line;
            page.push(&format!("{} => {before}", change.id));
            page.push(&self.text[function.body.0..change.span.0]);
            page.push(&change.replacement);
            page.push(&self.text[change.span.1..function.body.1]);
            page.push(&format!("{after},\n"));
            page.regions.push(Region { mutant: Some(change.id), point: function.point, lines: (first, page.line - 1) });
        }
        page.push(&format!("_ => {before}"));
        self.write(page, function.body, inside, wanted);
        page.push(&format!("{after}\n}} }}"));
    }
}

/// Text that knows its line.
struct Page {
    text: String,
    line: usize,
    regions: Vec<Region>,
}

impl Page {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.line += text.matches('\n').count();
    }
}

/// Where lines begin, to find a byte by line and column.
struct Lines<'a> {
    text: &'a str,
    begins: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Lines<'a> {
        let begins = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, begins }
    }

    fn offset(&self, place: Place) -> usize {
        let begin = self.begins[place.line - 1];
        let line = &self.text[begin..];
        begin + line.char_indices().nth(place.column - 1).map_or(line.len(), |(at, _)| at)
    }

    fn offset_of(&self, place: LineColumn) -> usize {
        self.offset(Place { line: place.line, column: place.column + 1 })
    }
}

/// Collects functions: where the signature begins, the body, what it returns.
struct Found<'a> {
    lines: &'a Lines<'a>,
    bodies: Vec<(usize, (usize, usize), Returns)>,
}

impl Found<'_> {
    fn add(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let returns = match &signature.output {
            syn::ReturnType::Type(_, of) => self.returns(of),
            syn::ReturnType::Default => Returns::OneType,
        };
        let head = self.lines.offset_of(signature.fn_token.span.start());
        let span = body.brace_token.span.join();
        self.bodies.push((head, (self.lines.offset_of(span.start()), self.lines.offset_of(span.end())), returns));
    }

    fn returns(&self, of: &syn::Type) -> Returns {
        let syn::Type::ImplTrait(of) = of else { return Returns::OneType };
        let bound = of.bounds.iter().find_map(|bound| match bound {
            syn::TypeParamBound::Trait(bound) => Some(bound.path.span()),
            _ => None,
        });
        bound.map_or(Returns::OneType, |span| {
            Returns::Some(
                self.lines.text[self.lines.offset_of(span.start())..self.lines.offset_of(span.end())].to_owned(),
            )
        })
    }
}

impl<'ast> Visit<'ast> for Found<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Span;

    /// A change of the first place where `old` stands.
    fn change(text: &str, old: &str, new: &str) -> Mutant {
        let at = text.find(old).expect("it stands there");
        let place = |at: usize| {
            let before = &text[..at];
            let begin = before.rfind('\n').map_or(0, |at| at + 1);
            Place { line: before.matches('\n').count() + 1, column: before[begin..].chars().count() + 1 }
        };
        Mutant {
            file: "a.rs".to_owned(),
            name: "a.rs:1:1: change".to_owned(),
            span: Span { start: place(at), end: place(at + old.len()) },
            replacement: new.to_owned(),
            diff: String::new(),
        }
    }

    fn read(text: &str, mutants: &[Mutant]) -> (Source, Vec<(usize, usize)>) {
        let (mut points, mut places) = (0, Vec::new());
        let source = Source::read(text.to_owned(), mutants.iter().enumerate(), &mut points, |id, point| {
            places.push((id, point));
        });
        (source.expect("it can be read"), places)
    }

    #[test]
    fn a_body_stands_once_for_each_mutant_and_once_as_it_is() {
        let text = "/// ö\nfn is_more(ö: u8) -> bool {\n    ö > 1 && ö < 9\n}\n";
        let mutants = [change(text, "&&", "||"), change(text, "<", "<=")];
        let (source, places) = read(text, &mutants);
        assert_eq!(places, [(0, 0), (1, 0)]);
        let (all, regions) = source.rewritten(|_| true);
        assert_eq!(
            all,
            "/// ö\nfn is_more(ö: u8) -> bool { match crate::mutant_switch::at(0) {\n\
             0 => return {\n    ö > 1 || ö < 9\n},\n\
             1 => return {\n    ö > 1 && ö <= 9\n},\n\
             _ => return {\n    ö > 1 && ö < 9\n}\n} }\n"
        );
        let lines: Vec<_> = regions.iter().map(|region| (region.mutant, region.lines)).collect();
        assert_eq!(lines, [(Some(0), (3, 5)), (Some(1), (6, 8)), (None, (2, 12))]);
        assert!(!source.rewritten(|id| id != 1).0.contains("<="), "what is not wanted is not there");
    }

    #[test]
    fn a_mutant_belongs_to_the_innermost_function() {
        let text = "fn outer() -> u8 {\n    fn inner() -> u8 { 1 + 2 }\n    inner() - 3\n}\n";
        let mutants = [change(text, "+", "*"), change(text, "- 3", "/ 3")];
        let (source, places) = read(text, &mutants);
        assert_eq!(places, [(1, 0), (0, 1)]);
        let (all, _) = source.rewritten(|_| true);
        assert_eq!(all.matches("1 * 2").count(), 1, "only in the outer function as it is: {all}");
        assert_eq!(all.matches("fn inner").count(), 2);
    }

    #[test]
    fn some_iterators_are_made_one_type() {
        let text = "fn some() -> impl Iterator<Item = u8> + use<> { 0..9 }\n";
        let (source, _) = read(text, &[change(text, "0..9", "::std::iter::empty()")]);
        let (all, _) = source.rewritten(|_| true);
        let boxed = "let some: Box<dyn Iterator<Item = u8> + '_> = Box::new({ ::std::iter::empty() });";
        assert!(all.contains(boxed), "{all}");
        assert!(syn::parse_file(&all).is_ok(), "{all}");
    }
}
