//! A report as a Word document: headings and tables that can be worked on, charts as pictures.

use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use docx_rs::{
    AlignmentType, Docx, Footer, LineSpacing, PageMargin, PageNum, Paragraph, Pic, Run, RunFonts, Shading,
    Style, StyleType, Table, TableCell, TableRow, WidthType,
};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::{Block, Document, FONT, ReportError};

/// Pixels of a picture for one of the chart.
const SCALE: f32 = 2.0;

/// Width of the text on A4 with margins of 2 cm, in English Metric Units and in twentieths of a point.
const TEXT_WIDTH_EMU: u32 = 6_120_000;
const TEXT_WIDTH_TWIPS: usize = 9_638;

static OPTIONS: LazyLock<Options<'static>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    for font in typst_assets::fonts() {
        fonts.load_font_data(font.to_vec());
    }
    Options { fontdb: Arc::new(fonts), font_family: FONT.to_owned(), ..Options::default() }
});

/// The document as DOCX.
///
/// # Errors
/// If a chart cannot be drawn or the file not be packed.
pub fn docx(document: &Document) -> Result<Vec<u8>, ReportError> {
    let heading = |id: &str, name: &str, size: usize, level: usize| {
        Style::new(id, StyleType::Paragraph).name(name).size(size).bold().color("1B3A57").outline_lvl(level)
    };
    let fonts = RunFonts::new().ascii("Calibri").hi_ansi("Calibri");
    let foot = Paragraph::new()
        .align(AlignmentType::Left)
        .add_run(
            Run::new().add_text(format!("{}  |  {} ", document.made, document.page)).size(16).color("54616B"),
        )
        .add_page_num(PageNum::new());
    let mut file = Docx::new()
        .default_fonts(fonts)
        .default_size(20)
        .page_size(11_906, 16_838)
        .page_margin(PageMargin::new().top(1_134).bottom(1_134).left(1_134).right(1_134))
        .add_style(heading("Title", "Title", 40, 0))
        .add_style(heading("Heading1", "heading 1", 28, 0))
        .add_style(
            Style::new("Caption", StyleType::Paragraph).name("caption").size(18).italic().color("54616B"),
        )
        .footer(Footer::new().add_paragraph(foot))
        .add_paragraph(plain(&document.title).style("Title"))
        .add_paragraph(plain(&document.subtitle))
        .add_paragraph(plain(&document.made).style("Caption"));
    for section in &document.sections {
        let title = plain(&section.title).style("Heading1").keep_next(true);
        file = file.add_paragraph(title.line_spacing(LineSpacing::new().before(240).after(80)));
        for block in &section.blocks {
            file = match block {
                Block::Text { text } => {
                    file.add_paragraph(plain(text).line_spacing(LineSpacing::new().after(120)))
                }
                Block::Table { caption, head, rows } => file
                    .add_paragraph(plain(caption).style("Caption").keep_next(true))
                    .add_table(table(head, rows))
                    .add_paragraph(Paragraph::new()),
                Block::Chart { caption, alt, svg } => {
                    let (png, width, height) = png(svg)?;
                    let scaled = u64::from(TEXT_WIDTH_EMU) * u64::from(height) / u64::from(width.max(1));
                    let size = (TEXT_WIDTH_EMU, u32::try_from(scaled).unwrap_or(TEXT_WIDTH_EMU));
                    let picture = Pic::new_with_dimensions(png, width, height).size(size.0, size.1);
                    // The description of a picture has no place of its own in this file: it stands below it.
                    file.add_paragraph(
                        Paragraph::new().keep_next(true).add_run(Run::new().add_image(picture)),
                    )
                    .add_paragraph(plain(&format!("{caption}. {alt}")).style("Caption"))
                }
            };
        }
    }
    let mut bytes = Cursor::new(Vec::new());
    file.build().pack(&mut bytes).map_err(|error| ReportError(error.to_string()))?;
    Ok(bytes.into_inner())
}

fn plain(text: &str) -> Paragraph {
    Paragraph::new().add_run(Run::new().add_text(text))
}

fn table(head: &[String], rows: &[Vec<String>]) -> Table {
    // The first column names the row and is wider.
    let share = TEXT_WIDTH_TWIPS / (head.len() + 1).max(1);
    let width = |place: usize| if place == 0 { share * 2 } else { share };
    let cell = |place: usize, text: &str, run: Run| {
        let align = if place == 0 { AlignmentType::Left } else { AlignmentType::Right };
        let paragraph = Paragraph::new().align(align).add_run(run.size(17).add_text(text));
        TableCell::new().width(width(place), WidthType::Dxa).add_paragraph(paragraph)
    };
    let top = head
        .iter()
        .enumerate()
        .map(|(place, text)| cell(place, text, Run::new().bold()).shading(Shading::new().fill("E3ECF4")));
    let body = rows.iter().map(|row| {
        let cells = row.iter().enumerate().map(|(place, text)| cell(place, text, Run::new()));
        TableRow::new(cells.collect()).cant_split()
    });
    let grid = (0..head.len()).map(width).collect();
    Table::new(std::iter::once(TableRow::new(top.collect())).chain(body).collect()).set_grid(grid)
}

/// A chart as PNG with its size in pixels of the chart.
fn png(svg: &str) -> Result<(Vec<u8>, u32, u32), ReportError> {
    let failed = |what: &dyn std::fmt::Display| ReportError(format!("a chart as picture: {what}"));
    let tree = Tree::from_str(svg, &OPTIONS).map_err(|error| failed(&error))?;
    let size = tree.size().to_int_size();
    let scaled = tree.size().scale_by(SCALE).ok_or_else(|| failed(&"it has no size"))?.to_int_size();
    let mut picture =
        Pixmap::new(scaled.width(), scaled.height()).ok_or_else(|| failed(&"it is too large"))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut picture.as_mut());
    let bytes = picture.encode_png().map_err(|error| failed(&error))?;
    Ok((bytes, size.width(), size.height()))
}
