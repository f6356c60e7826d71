//! Work on many numbered pieces, spread over threads that are busy to the end.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::steps::{Checked, undecided};

/// Does `work` for each number in `range` on `threads` threads, each with room of its own that it
/// uses again. Gives what came out in the order of the numbers, or the failure of the lowest one
/// that failed; after a failure no further piece is begun.
pub(crate) fn spread<R: Default, T: Send>(
    threads: usize,
    range: Range<u64>,
    work: impl Fn(&mut R, u64) -> Checked<T> + Sync,
) -> Checked<Vec<T>> {
    let next = AtomicU64::new(range.start);
    let failed = AtomicBool::new(false);
    let one = || {
        let (mut room, mut done) = (R::default(), Vec::new());
        while !failed.load(Ordering::Relaxed) {
            // Pieces are begun in order, so that all below one that failed are finished.
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= range.end {
                break;
            }
            let outcome = work(&mut room, number);
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            done.push((number, outcome));
        }
        done
    };
    let pieces = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    let mut done = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..threads.clamp(1, pieces.max(1))).map(|_| scope.spawn(one)).collect();
        let mut done = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(mut pieces) => done.append(&mut pieces),
                Err(_) => return undecided("a checking thread panicked"),
            }
        }
        Ok(done)
    })?;
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;
    use crate::steps::{Failure, refuted};

    #[test]
    fn results_come_in_order_whatever_the_number_of_threads() {
        for threads in [0, 1, 2, 7] {
            let squares = spread(threads, 3..50, |_: &mut (), n| Ok(n * n));
            assert_eq!(squares.ok(), Some((3..50).map(|n| n * n).collect::<Vec<_>>()));
            let none = spread(threads, 5..5, |_: &mut (), n| Ok(n));
            assert_eq!(none.ok(), Some(Vec::new()));
        }
    }

    #[test]
    fn the_lowest_failure_is_told() {
        for threads in [1, 2, 3] {
            let outcome = spread(threads, 0..1000, |_: &mut (), n| {
                if n % 10 == 7 { refuted(format!("{n}")) } else { Ok(()) }
            });
            let Err(Failure(Verdict::Refuted, detail)) = outcome else { panic!("not refuted") };
            assert_eq!(detail, "7");
        }
    }

    #[test]
    fn a_panic_decides_nothing() {
        let outcome =
            spread(2, 0..4, |_: &mut (), n| if n == 3 { panic!("as meant") } else { Ok(()) });
        assert!(matches!(outcome, Err(Failure(Verdict::Undecided, _))));
    }
}
