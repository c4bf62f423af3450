//! Parallel map over many items.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread::{Builder, available_parallelism, scope};

use crate::directory::lock;

/// Minimum number of items for each thread. Starting a thread for fewer takes longer than it saves.
const MIN_ITEMS_PER_THREAD: usize = 2000;
/// Maximum number of threads. More bring no gain, and a container may not be allowed to start them.
const MAX_THREADS: usize = 8;

/// Returns the results of `map` for all items, in their order. With `every_processor` all
/// processors are used; otherwise the work stays on one, so that requests have the others.
pub(super) fn map_all<T: Send, U: Send, E: Send>(
    all: Vec<T>,
    every_processor: bool,
    map: impl Fn(T) -> Result<U, E> + Sync,
) -> Result<Vec<U>, E> {
    let threads = if every_processor { available_parallelism().map_or(1, usize::from) } else { 1 };
    let threads = threads.min(all.len() / MIN_ITEMS_PER_THREAD).min(MAX_THREADS);
    if threads < 2 {
        return all.into_iter().map(map).collect();
    }
    let size = all.len().div_ceil(threads);
    let count = all.len();
    let map = &map;
    let mut all = all.into_iter();
    let mut parts = Vec::with_capacity(threads);
    for _ in 0..threads {
        parts.push(Mutex::new(all.by_ref().take(size).collect::<Vec<T>>()));
    }
    scope(|scope| {
        let mut started = Vec::with_capacity(threads);
        for part in &parts {
            started.push((part, Builder::new().spawn_scoped(scope, move || mapped(part, map))));
        }
        let mut all_mapped = Vec::with_capacity(count);
        for (part, thread) in started {
            let mapped = match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // If no thread can be started for a part, the part is done here.
                Err(_) => mapped(part, map),
            };
            all_mapped.append(&mut mapped?);
        }
        Ok(all_mapped)
    })
}

/// Takes the items out of a part and maps them.
fn mapped<T, U, E>(part: &Mutex<Vec<T>>, map: &impl Fn(T) -> Result<U, E>) -> Result<Vec<U>, E> {
    let part = std::mem::take(&mut *lock(part));
    part.into_iter().map(map).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_complete_and_in_order_for_any_number_of_items() {
        for count in [
            0,
            1,
            MIN_ITEMS_PER_THREAD,
            2 * MIN_ITEMS_PER_THREAD - 1,
            2 * MIN_ITEMS_PER_THREAD,
            5 * MIN_ITEMS_PER_THREAD + 3,
        ] {
            for every_processor in [false, true] {
                let all: Vec<usize> = (0..count).collect();
                let mapped =
                    map_all(all.clone(), every_processor, |number| Ok::<_, ()>(number + 1))
                        .unwrap();
                assert_eq!(
                    mapped,
                    all.iter().map(|number| number + 1).collect::<Vec<_>>(),
                    "{count}"
                );
                let failing = |number| if number + 1 == count { Err(number) } else { Ok(()) };
                assert_eq!(
                    map_all(all, every_processor, failing).err(),
                    count.checked_sub(1),
                    "{count}"
                );
            }
        }
    }
}
