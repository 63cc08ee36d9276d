//! A report as PDF, set by typst and tagged for screen readers (PDF/UA-1).
//!
//! The document goes in as JSON beside the template, never into its markup, so that nothing in it is taken for a command. The world that
//! typst sees has the template and the fonts and nothing else.

use std::sync::LazyLock;

use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Dict, Duration, Smart, Str, Value};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::LazyHash;
use typst::{Library, LibraryExt, World};
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

use super::{Document, ReportError};

static FONTS: LazyLock<(LazyHash<FontBook>, Vec<Font>)> = LazyLock::new(|| {
    let fonts: Vec<Font> = typst_assets::fonts().flat_map(|data| Font::iter(Bytes::new(data))).collect();
    (LazyHash::new(FontBook::from_fonts(&fonts)), fonts)
});

/// The template and the fonts.
struct Desk {
    library: LazyHash<Library>,
    main: Source,
}

impl Desk {
    fn with(data: String) -> Result<Self, ReportError> {
        let mut inputs = Dict::new();
        inputs.insert("data".into(), Value::Str(Str::from(data)));
        let library = Library::builder().with_inputs(inputs).build();
        let path = VirtualPath::new("report.typ").map_err(|error| ReportError(error.to_string()))?;
        let id = RootedPath::new(VirtualRoot::Project, path).intern();
        let main = Source::new(id, include_str!("../../assets/report.typ").to_owned());
        Ok(Self { library: LazyHash::new(library), main })
    }
}

impl World for Desk {
    fn library(&self) -> &LazyHash<Library> {
        &self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &FONTS.0
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main.id() { Ok(self.main.clone()) } else { Err(FileError::AccessDenied) }
    }

    fn file(&self, _: FileId) -> FileResult<Bytes> {
        Err(FileError::AccessDenied)
    }

    fn font(&self, index: usize) -> Option<Font> {
        FONTS.1.get(index).cloned()
    }

    fn today(&self, _: Option<Duration>) -> Option<Datetime> {
        None
    }
}

fn told<'a>(errors: impl IntoIterator<Item = &'a SourceDiagnostic>) -> ReportError {
    let texts: Vec<String> = errors.into_iter().map(|error| error.message.to_string()).collect();
    ReportError(texts.join("; "))
}

/// The document as PDF.
///
/// # Errors
/// If typst refuses it, which is a fault of the template.
pub fn pdf(document: &Document) -> Result<Vec<u8>, ReportError> {
    let data = serde_json::to_string(document).map_err(|error| ReportError(error.to_string()))?;
    let desk = Desk::with(data)?;
    let standards =
        PdfStandards::new(&[PdfStandard::Ua_1]).map_err(|error| ReportError(error.message().to_string()))?;
    let options = PdfOptions {
        creator: Smart::Custom(Some("Rettidig".to_owned())),
        standards,
        ..PdfOptions::default()
    };
    let set = typst::compile(&desk).output.map_err(|errors| told(&errors))?;
    let made = typst_pdf::pdf(&set, &options).map_err(|errors| told(&errors));
    // What typst remembers between documents is of no use to the next one.
    typst::comemo::evict(0);
    made
}
