//! Columns of words that change rarely, written as the runs they are. The library's writer looks up
//! every row's word in its dictionary; in a part, where five columns of nine hold one word for
//! thousands of rows, that was a third of an import's time.

use datafusion::parquet::basic::{Compression, Encoding};
use datafusion::parquet::column::page::{CompressedPage, Page, PageWriter as _};
use datafusion::parquet::column::writer::ColumnCloseResult;
use datafusion::parquet::data_type::ByteArray;
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use datafusion::parquet::file::statistics::Statistics;
use datafusion::parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use datafusion::parquet::schema::types::ColumnDescPtr;

/// Words of one column of one row group, in runs.
#[derive(Default)]
pub(crate) struct Words {
    /// Different words, in order of appearance.
    words: Vec<String>,
    /// Position of a word, and how many rows have it one after the other.
    runs: Vec<(u32, u32)>,
    rows: u32,
}

impl Words {
    /// `rows` more rows with this word.
    pub fn push(&mut self, word: &str, rows: u32) {
        if rows == 0 {
            return;
        }
        self.rows += rows;
        if let Some((last, n)) = self.runs.last_mut()
            && self.words[*last as usize] == word
        {
            *n += rows;
            return;
        }
        // Newer words first: a part is sorted, so that a word comes back soon or never.
        let known = self.words.iter().rposition(|w| w == word);
        let at = known.unwrap_or_else(|| {
            self.words.push(word.to_owned());
            self.words.len() - 1
        });
        self.runs.push((at as u32, rows));
    }

    /// The column chunk: a dictionary page, one data page of runs, and what the file's footer says of
    /// them. Not compressed: there is next to nothing.
    ///
    /// # Source
    /// Apache Parquet format, Encodings.md: PLAIN = 0, RLE / bit-packing hybrid = 3, RLE_DICTIONARY = 8.
    pub fn chunk(self, column: ColumnDescPtr) -> Result<(Vec<u8>, ColumnCloseResult)> {
        let mut dictionary = Vec::new();
        for w in &self.words {
            dictionary.extend((w.len() as u32).to_le_bytes());
            dictionary.extend(w.as_bytes());
        }
        // Some readers do not expect a width of nought.
        let bits = (usize::BITS - self.words.len().saturating_sub(1).leading_zeros()).max(1);
        let mut data = vec![bits as u8];
        let mut text_bytes = 0;
        for (word, rows) in &self.runs {
            varint(u64::from(*rows) << 1, &mut data);
            data.extend(&word.to_le_bytes()[..bits.div_ceil(8) as usize]);
            text_bytes += self.words[*word as usize].len() as i64 * i64::from(*rows);
        }
        let mut sink = TrackedWrite::new(Vec::new());
        let mut pages = SerializedPageWriter::new(&mut sink);
        let size = dictionary.len();
        let first = pages.write_page(CompressedPage::new(
            Page::DictionaryPage {
                buf: dictionary.into(),
                num_values: self.words.len() as u32,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            },
            size,
        ))?;
        let size = data.len();
        let second = pages.write_page(CompressedPage::new(
            Page::DataPage {
                buf: data.into(),
                num_values: self.rows,
                encoding: Encoding::RLE_DICTIONARY,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            },
            size,
        ))?;
        let bytes = sink.into_inner()?;
        let word = |w: Option<&String>| w.map(|w| ByteArray::from(w.as_str()));
        let metadata = ColumnChunkMetaData::builder(column)
            .set_compression(Compression::UNCOMPRESSED)
            .set_encodings(vec![
                Encoding::PLAIN,
                Encoding::RLE,
                Encoding::RLE_DICTIONARY,
            ])
            .set_num_values(i64::from(self.rows))
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(bytes.len() as i64)
            .set_dictionary_page_offset(Some(first.offset as i64))
            .set_data_page_offset(second.offset as i64)
            .set_unencoded_byte_array_data_bytes(Some(text_bytes))
            .set_statistics(Statistics::new(
                word(self.words.iter().min()),
                word(self.words.iter().max()),
                None,
                Some(0),
                false,
            ))
            .build()?;
        let mut offsets = OffsetIndexBuilder::new();
        offsets.append_row_count(i64::from(self.rows));
        offsets.append_offset_and_size(second.offset as i64, second.bytes_written as i32);
        offsets.append_unencoded_byte_array_data_bytes(Some(text_bytes));
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: u64::from(self.rows),
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(offsets.build()),
        };
        Ok((bytes, close))
    }
}

/// ULEB128.
fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_neighbours_are_one_run_and_a_word_has_one_number() {
        let mut w = Words::default();
        for (word, rows) in [("a", 3), ("a", 2), ("b", 0), ("b", 1), ("a", 300)] {
            w.push(word, rows);
        }
        assert_eq!(w.words, ["a", "b"]);
        assert_eq!(w.runs, [(0, 5), (1, 1), (0, 300)]);
        assert_eq!(w.rows, 306);
    }

    #[test]
    fn lengths_are_written_in_sevens() {
        let mut out = Vec::new();
        varint(600, &mut out);
        assert_eq!(out, [0xd8, 0x04]);
    }
}
