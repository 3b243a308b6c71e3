//! The imports between the files of one crate: none may lead back to where it began.
//!
//! An arrow is a `use` or a path in the code. It leads to the file that defines what is named, through re-exports. What a module
//! re-exports is no arrow of its own, neither is what tests import, and neither is what a module takes from the modules inside it:
//! they are its parts.

use std::collections::{BTreeMap, BTreeSet};

use super::code::{self, Kind, Token};

/// The modules of one crate by their paths from its root, which is the empty path.
#[derive(Default)]
struct Modules(BTreeMap<Vec<String>, Module>);

#[derive(Default)]
struct Module {
    file: String,
    /// Items that are defined here.
    items: BTreeSet<String>,
    imports: Vec<Import>,
    /// Paths in the code.
    paths: Vec<Vec<String>>,
}

struct Import {
    path: Vec<String>,
    /// What it is called here; `*` for all.
    name: String,
    is_exported: bool,
}

/// Who takes what from whom: from file to file, with the names.
type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// The cycles of the crate whose root is the file `root`: for each, its arrows as `a -> b: names`.
pub(super) fn cycles(root: &str, code_of: &dyn Fn(&str) -> Option<String>) -> Vec<Vec<String>> {
    let mut modules = Modules::default();
    modules.read(&[], root, code_of);
    let arrows = modules.arrows();
    circles(&arrows)
        .into_iter()
        .map(|circle| {
            arrows
                .iter()
                .filter(|((from, to), _)| circle.contains(from) && circle.contains(to))
                .map(|((from, to), names)| {
                    let names: Vec<_> = names.iter().map(String::as_str).collect();
                    format!("{from} -> {to}: {}", names.join(", "))
                })
                .collect()
        })
        .collect()
}

/// The groups of files that reach each other.
fn circles(arrows: &Arrows) -> BTreeSet<BTreeSet<String>> {
    let reached = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            for (one, other) in arrows.keys() {
                if one == file && seen.insert(other.as_str()) {
                    next.push(other);
                }
            }
        }
        seen
    };
    let files: BTreeSet<&str> = arrows.keys().map(|(from, _)| from.as_str()).collect();
    let reach: BTreeMap<_, _> = files
        .into_iter()
        .map(|file| (file, reached(file)))
        .collect();
    reach
        .iter()
        .filter(|(file, reached)| reached.contains(**file))
        .map(|(file, reached)| {
            let back = |other: &&&str| reach.get(**other).is_some_and(|back| back.contains(file));
            reached
                .iter()
                .filter(back)
                .map(|&other| other.to_owned())
                .collect()
        })
        .collect()
}

impl Modules {
    fn read(&mut self, path: &[String], file: &str, code_of: &dyn Fn(&str) -> Option<String>) {
        let Some(code) = code_of(file) else { return };
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        let folder = match name {
            "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
            name => format!("{folder}/{}", name.trim_end_matches(".rs")),
        };
        self.read_module(path, file, &folder, &code::tokens(&code), code_of);
    }

    fn read_module(
        &mut self,
        path: &[String],
        file: &str,
        folder: &str,
        tokens: &[Token<'_>],
        code_of: &dyn Fn(&str) -> Option<String>,
    ) {
        let mut module = Module {
            file: file.to_owned(),
            ..Module::default()
        };
        let mut inner: Vec<(String, Option<&[Token<'_>]>)> = Vec::new();
        let mut is_exported = false;
        let mut depth = 0_usize;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let text = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text);
            match token.text {
                "pub" => is_exported = true,
                // The visibility of a restricted item has a path of its own.
                "(" if is_exported && ["crate", "super", "in", "self"].contains(&text(1)) => {
                    at = code::closing(tokens, at).unwrap_or(at);
                }
                "mod" if token.kind == Kind::Word && depth == 0 => {
                    let name = text(1).to_owned();
                    let body = (text(2) == "{")
                        .then(|| code::closing(tokens, at + 2))
                        .flatten()
                        .map(|end| &tokens[at + 3..end]);
                    at += 2 + body.map_or(0, |body| body.len() + 1);
                    inner.push((name, body));
                    is_exported = false;
                }
                "use" if token.kind == Kind::Word => {
                    let length = tokens[at..]
                        .iter()
                        .position(|token| token.text == ";")
                        .unwrap_or(1);
                    for (path, name) in tree(&tokens[at + 1..at + length]) {
                        module.imports.push(Import {
                            path,
                            name,
                            is_exported,
                        });
                    }
                    at += length;
                    is_exported = false;
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union"
                    if token.kind == Kind::Word && depth == 0 =>
                {
                    module.items.insert(text(1).to_owned());
                    is_exported = false;
                }
                "macro_rules" => {
                    module.items.insert(text(2).to_owned());
                }
                _ if token.kind == Kind::Word && text(1) == "::" => {
                    let (path, length) = inline(&tokens[at..]);
                    module.paths.push(path);
                    at += length - 1;
                }
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    is_exported = false;
                }
                _ => {}
            }
            at += 1;
        }
        for (name, body) in inner {
            let path: Vec<_> = path.iter().chain([&name]).cloned().collect();
            let folder_of = format!("{folder}/{name}");
            match body {
                Some(body) => self.read_module(&path, file, &folder_of, body, code_of),
                None => {
                    let files = [format!("{folder_of}.rs"), format!("{folder_of}/mod.rs")];
                    if let Some(file) = files.iter().find(|file| code_of(file).is_some()) {
                        self.read(&path, file, code_of);
                    }
                }
            }
        }
        self.0.insert(path.to_vec(), module);
    }

    fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (at, module) in &self.0 {
            let imported = module
                .imports
                .iter()
                .filter(|import| !import.is_exported)
                .map(|import| &import.path);
            for path in imported.chain(&module.paths) {
                if let Some(target) = self.target(at, path, 0)
                    && !target.starts_with(at)
                    && let Some(Module { file, .. }) = self.0.get(&target)
                    && *file != module.file
                {
                    arrows
                        .entry((module.file.clone(), file.clone()))
                        .or_default()
                        .extend(path.last().cloned());
                }
            }
        }
        arrows
    }

    /// The module that defines what `path` names in the module `at`; `None` for what comes from another crate.
    fn target(&self, at: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
        let (module, rest) = self.walk(at, path)?;
        let here = self.0.get(&module)?;
        let Some((name, _)) = rest.split_first() else {
            return Some(module);
        };
        // Names that re-export each other in a circle are not followed for ever.
        if here.items.contains(name) || depth > 8 {
            return Some(module);
        }
        let follow = |import: &Import| {
            let path: Vec<_> = if import.name == "*" {
                import.path.iter().chain(rest).cloned().collect()
            } else {
                import.path.iter().chain(&rest[1..]).cloned().collect()
            };
            self.target(&module, &path, depth + 1)
        };
        if let Some(import) = here.imports.iter().find(|import| import.name == *name) {
            return follow(import);
        }
        let globs = here.imports.iter().filter(|import| import.name == "*");
        for import in globs {
            if let Some((target, _)) = self.walk(&module, &import.path)
                && target != module
                && self.0.get(&target).is_some_and(|module| module.knows(name))
            {
                return follow(import);
            }
        }
        // A macro made it.
        (module.as_slice() != at || is_relative(path)).then_some(module)
    }

    /// Follows `path` from the module `at` through modules: the last one, and the names that are left.
    fn walk<'p>(&self, at: &[String], path: &'p [String]) -> Option<(Vec<String>, &'p [String])> {
        let mut module = at.to_vec();
        let mut rest = path;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => module.clear(),
                "self" => {}
                "super" => {
                    module.pop()?;
                }
                name => {
                    module.push(name.to_owned());
                    if !self.0.contains_key(&module) {
                        module.pop();
                        break;
                    }
                }
            }
            rest = after;
        }
        Some((module, rest))
    }
}

impl Module {
    fn knows(&self, name: &str) -> bool {
        self.items.contains(name) || self.imports.iter().any(|import| import.name == name)
    }
}

fn is_relative(path: &[String]) -> bool {
    path.first()
        .is_some_and(|first| ["crate", "self", "super"].contains(&first.as_str()))
}

/// A path at the start, without generic arguments, and the number of its tokens.
fn inline(tokens: &[Token<'_>]) -> (Vec<String>, usize) {
    let mut path = Vec::new();
    let mut length = 0;
    while let Some(token) = tokens.get(length).filter(|token| token.kind == Kind::Word) {
        path.push(token.text.to_owned());
        length += 1;
        if tokens.get(length).is_none_or(|token| token.text != "::") {
            break;
        }
        length += 1;
    }
    (path, length)
}

/// The paths of a `use`, each with the name that it has from there on.
fn tree(tokens: &[Token<'_>]) -> Vec<(Vec<String>, String)> {
    let (path, length) = inline(tokens);
    match tokens.get(length).map_or("", |token| token.text) {
        "{" => {
            let end = code::closing(tokens, length).unwrap_or(tokens.len());
            let mut found = Vec::new();
            let mut rest = &tokens[length + 1..end];
            while !rest.is_empty() {
                let mut end = 0;
                while end < rest.len() && rest[end].text != "," {
                    end = match rest[end].text {
                        "{" => code::closing(rest, end).unwrap_or(end) + 1,
                        _ => end + 1,
                    };
                }
                for (inner, name) in tree(&rest[..end]) {
                    let whole: Vec<_> = path.iter().cloned().chain(inner).collect();
                    let name = match (name.as_str(), path.last()) {
                        ("self", Some(last)) => last.clone(),
                        _ => name,
                    };
                    found.push((whole, name));
                }
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            found
        }
        "*" => vec![(path, "*".to_owned())],
        _ if path.is_empty() => Vec::new(),
        _ => {
            let renamed = tokens
                .get(length)
                .filter(|token| token.text == "as")
                .and_then(|_| tokens.get(length + 1))
                .map(|token| token.text.to_owned());
            let name = renamed.or_else(|| path.last().cloned());
            vec![(path, name.unwrap_or_default())]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        cycles("src/lib.rs", &|wanted| {
            files
                .iter()
                .find(|(file, _)| *file == wanted)
                .map(|(_, text)| code::without_tests(text))
        })
    }

    #[test]
    fn two_files_that_use_each_other_are_a_cycle() {
        let cycle = found(&[
            ("src/lib.rs", "mod a;\nmod b;\npub use a::A;"),
            ("src/a.rs", "use crate::b::{self, B};\npub struct A(B);"),
            ("src/b.rs", "pub struct B;\nfn f(_: super::a::A) {}"),
        ]);
        assert_eq!(
            cycle,
            [["src/a.rs -> src/b.rs: B, self", "src/b.rs -> src/a.rs: A"]]
        );
    }

    #[test]
    fn a_cycle_may_go_through_a_re_export_and_a_folder() {
        let cycle = found(&[
            (
                "src/lib.rs",
                "mod a;\nmod b;\npub use a::deep::Deep as Renamed;",
            ),
            ("src/a/mod.rs", "pub(crate) mod deep;"),
            ("src/a/deep.rs", "use crate::b::b;\npub struct Deep;"),
            ("src/b.rs", "use crate::Renamed;\npub(crate) fn b() {}"),
        ]);
        assert_eq!(cycle.len(), 1, "{cycle:?}");
        assert_eq!(cycle[0].len(), 2, "{cycle:?}");
    }

    #[test]
    fn a_cycle_may_go_through_an_imported_module() {
        let cycle = found(&[
            ("src/lib.rs", "mod cli;\nmod commands;"),
            (
                "src/cli.rs",
                "use crate::commands;\npub enum Cli { List(commands::list::List) }",
            ),
            ("src/commands.rs", "pub mod list;"),
            (
                "src/commands/list.rs",
                "use crate::cli::Cli;\npub struct List;",
            ),
        ]);
        assert_eq!(cycle.len(), 1, "{cycle:?}");
    }

    #[test]
    fn declaring_re_exporting_using_parts_and_testing_make_no_cycle() {
        let cycle = found(&[
            (
                "src/lib.rs",
                "mod a;\nmod b;\npub use a::*;\nuse self::b::B;\npub(crate) struct Root(B);\nfn f() { b::g() }",
            ),
            (
                "src/a.rs",
                "use crate::Root;\npub struct A;\nimpl A { pub(in crate::a) fn f() {} }",
            ),
            (
                "src/b.rs",
                "use std::fmt;\nuse crate::{A, Root};\npub struct B(A, Root);\npub fn g() {}\n#[cfg(test)]\nmod tests { use super::*; }",
            ),
        ]);
        assert_eq!(cycle, Vec::<Vec<String>>::new());
    }
}
