//! Which entries an export is asked for.

use sealwire_wire::statement::Statement;

use super::{Bound, Data, ExportError, Selection, WIDTH};

impl Data<'_> {
    /// The range asked for, as indexes of a log of `size` entries.
    pub(super) fn range(&self, selection: Selection, size: u64) -> Result<(u64, u64), ExportError> {
        let from = selection.from.map(|bound| self.index(bound, size)).transpose()?.unwrap_or(0);
        let to = selection.to.map(|bound| self.index(bound, size)).transpose()?.unwrap_or(size);
        if from <= to && to <= size {
            Ok((from, to))
        } else {
            Err(ExportError::Range { from, to, size })
        }
    }

    fn index(&self, bound: Bound, size: u64) -> Result<u64, ExportError> {
        let time = match bound {
            Bound::Index(index) => return Ok(index),
            Bound::Time(time) => time,
        };
        // Entries are issued in order: the first file that ends at that time or later has it.
        let (mut low, mut high) = (0, size.div_ceil(WIDTH));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.first_since(middle, time, size)?.is_some() {
                high = middle
            } else {
                low = middle + 1
            }
        }
        Ok(self.first_since(low, time, size)?.unwrap_or(size))
    }

    /// The first entry of a statement file that was issued at `time` or later.
    fn first_since(&self, file: u64, time: u64, size: u64) -> Result<Option<u64>, ExportError> {
        let mut found = None;
        self.elements(self.own, file, |element| {
            let issued = Statement::parse(element.statement).map(|s| s.claims().issued_at);
            if element.index < size && issued.is_ok_and(|issued| issued >= time) {
                found = Some(element.index);
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }
}
