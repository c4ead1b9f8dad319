//! The documents as a whole: every page is in the book, and every link leads somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every document that people read here.
fn documents() -> Vec<PathBuf> {
    let mut all = vec![root().join("README.md")];
    for folder in [root().join("docs"), root().to_owned()] {
        let entries = fs::read_dir(folder).expect("a folder");
        all.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    all.retain(|path| path.extension().is_some_and(|it| it == "md"));
    all.sort();
    all.dedup();
    all
}

/// A document without its blocks of code and code within sentences.
fn prose(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a document");
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fence && !fenced
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    text.split('`').step_by(2).collect::<Vec<_>>().join("")
}

/// The addresses of a document's links and pictures.
fn links(path: &Path) -> Vec<String> {
    let text = prose(path);
    let parts = text.split("](").skip(1);
    parts.filter_map(|part| Some(part.split_once(')')?.0.to_owned())).collect()
}

/// The anchors of a document's headings, as mdBook and forges make them.
fn anchors(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).expect("a document");
    let mut fenced = false;
    let headings = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    headings
        .map(|line| {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[test]
fn every_link_of_the_documents_leads_somewhere() {
    let mut seen = 0;
    for document in documents() {
        for link in links(&document) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => document.clone(),
                file => document.parent().expect("a folder").join(file),
            };
            let shown = document.display();
            assert!(target.exists(), "{shown}: {link}: there is no {}", target.display());
            if !anchor.is_empty() {
                assert!(anchors(&target).contains(anchor), "{shown}: {link}: no such heading");
            }
        }
    }
    assert!(seen > 100, "only {seen} links were found");
}

#[test]
fn every_page_is_in_the_book_once() {
    let summary = root().join("docs/SUMMARY.md");
    let mut listed = links(&summary);
    listed.sort();
    let mut pages: Vec<String> = documents()
        .iter()
        .filter(|path| path.parent() == summary.parent() && **path != summary)
        .map(|path| path.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    pages.sort();
    assert_eq!(listed, pages);
    let book = fs::read_to_string(root().join("docs/book.toml")).expect("the book");
    let book: toml::Table = book.parse().expect("TOML");
    assert_eq!(book["book"]["src"].as_str(), Some("."), "it is made of these pages");
}

/// What lies between the quotes after a mark, wherever it stands.
fn quoted<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(mark).skip(1).filter_map(|rest| rest.split('"').next())
}

#[test]
fn the_book_builds_without_a_warning_and_its_links_lead_somewhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let built = Command::new("mdbook")
        .args(["build", "docs", "--dest-dir"])
        .arg(folder.path())
        .current_dir(root())
        .output();
    let Ok(built) = built else {
        return gopay_testkit::not_tested("mdbook is not installed: the book of docs/");
    };
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&built.stdout),
        String::from_utf8_lossy(&built.stderr)
    );
    assert!(built.status.success(), "{said}");
    for word in ["WARN", "ERROR"] {
        assert!(!said.contains(word), "{said}");
    }
    let (mut seen, mut lost) = (0, Vec::new());
    for link in links(&root().join("docs/SUMMARY.md")) {
        let name = link.replace(".md", ".html");
        let page = fs::read_to_string(folder.path().join(&name)).expect("a page");
        let (_, content) = page.split_once("<main>").expect("content");
        let content = content.split("</main>").next().unwrap_or_default();
        for link in quoted(content, "href=\"").chain(quoted(content, "src=\"")) {
            if link.contains(':') {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = folder.path().join(if file.is_empty() { &name } else { file });
            let text = fs::read(&target).map(|text| String::from_utf8_lossy(&text).into_owned());
            let there = text.is_ok_and(|text| {
                // What leads on to another page has its headings there.
                anchor.is_empty()
                    || text.contains(&format!("id=\"{anchor}\""))
                    || text.contains("http-equiv=\"refresh\"")
            });
            if !there {
                lost.push(format!("{name}: {link}"));
            }
        }
    }
    assert!(seen > 250, "only {seen} links were found");
    assert!(lost.is_empty(), "{lost:#?}");
}
