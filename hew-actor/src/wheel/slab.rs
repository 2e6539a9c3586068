//! Entries of a wheel in pages, addressed by 32-bit indices, with keys that outlive them harmlessly.
//!
//! Pages instead of one array, for two reasons: growing never moves what is there, so an insertion never waits for
//! megabytes to be copied; and a page whose entries are all gone gives its memory back although others are in use.
//!
//! Keys are never repeated. An entry counts its uses, a page without memory remembers the highest count that it had,
//! and what has been used [`EXHAUSTED`] times is not used again. A page is lost after that many insertions at the
//! earliest, and the last of them after 2^56: at ten million a second, after two centuries.

use super::touches::Touches;

/// Ends a list of indices; the last page is never made, so that no entry has this index.
pub(super) const NIL: u32 = u32::MAX;

/// Pages that a slab has at most; see [`ENTRIES_MAX`].
pub(super) const PAGES_MAX: usize = ENTRIES_MAX / ENTRIES_PER_PAGE;

/// Pending entries that a slab holds at most: the indices of 32 bits without those of the last page.
pub(super) const ENTRIES_MAX: usize = u32::MAX as usize / ENTRIES_PER_PAGE * ENTRIES_PER_PAGE;

/// A power of two. Large enough that the table of pages, which stays, costs little (some 50 bytes a page); small enough
/// that pages do get empty.
pub(super) const ENTRIES_PER_PAGE: usize = 256;

/// Empty pages that keep their memory for the next burst; further ones give it back at once.
pub(super) const SPARE_PAGES: usize = 4;

/// The generation that no key has: an entry that reaches it rests for ever.
const EXHAUSTED: u32 = u32::MAX;

/// Names one insertion into one wheel. After that value left, the key names nothing, for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(super) index: u32,
    generation: u32,
}

pub(super) struct Slab<T> {
    pages: Vec<Page<T>>,
    /// A stack of pages that may have room; those that have none, or no memory, leave it when they come to the top.
    open: Vec<u32>,
    /// A stack of pages without memory.
    bare: Vec<u32>,
    pages_max: usize,
    /// Pages with memory and without a pending entry.
    spare: usize,
    len: usize,
    touches: Touches,
}

/// What is pending, in the two-way list of one slot; or vacant, in the one-way list of its page.
pub(super) struct Entry<T> {
    value: Option<T>,
    pub(super) deadline: u64,
    pub(super) prev: u32,
    pub(super) next: u32,
    /// Of the pending key, or of the next one.
    generation: u32,
}

struct Page<T> {
    /// Empty and without memory as long as the page is bare.
    entries: Vec<Entry<T>>,
    /// The first vacant entry, or [`NIL`].
    free: u32,
    pending: u32,
    /// The first generation of entries to come: no key of this page has had it or a higher one.
    fresh: u32,
    /// Whether the page is on the stack `open`.
    open: bool,
}

impl<T> Slab<T> {
    /// A slab of up to `pages_max` pages, at most [`PAGES_MAX`].
    pub(super) const fn new(pages_max: usize) -> Slab<T> {
        assert!(pages_max <= PAGES_MAX);
        Slab {
            pages: Vec::new(),
            open: Vec::new(),
            bare: Vec::new(),
            pages_max,
            spare: 0,
            len: 0,
            touches: Touches::new(),
        }
    }

    /// Stores a value in an entry that is in no list yet.
    ///
    /// # Errors
    /// The value, if every page is full. Nothing changed.
    pub(super) fn insert(&mut self, deadline: u64, value: T) -> Result<Key, T> {
        let Some(number) = self.page_with_room() else { return Err(value) };
        let page = &mut self.pages[number];
        if page.is_spare() {
            self.spare -= 1;
        }
        page.pending += 1;
        self.len += 1;
        self.touches.count();
        if page.free == NIL {
            let index = (number * ENTRIES_PER_PAGE + page.entries.len()) as u32;
            let generation = page.fresh;
            page.entries.push(Entry { value: Some(value), deadline, prev: NIL, next: NIL, generation });
            return Ok(Key { index, generation });
        }
        let index = page.free;
        let entry = &mut page.entries[place(index).1];
        page.free = entry.next;
        (entry.value, entry.deadline) = (Some(value), deadline);
        Ok(Key { index, generation: entry.generation })
    }

    /// Takes the value out of an entry that has left its list. `None` if it holds none; then nothing changed.
    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let (number, offset) = place(index);
        self.touches.count();
        let page = self.pages.get_mut(number)?;
        let entry = page.entries.get_mut(offset)?;
        let value = entry.value.take()?;
        entry.generation += 1;
        if entry.generation < EXHAUSTED {
            entry.next = page.free;
            page.free = index;
        }
        page.pending -= 1;
        self.len -= 1;
        if page.pending == 0 {
            if self.spare < SPARE_PAGES && page.has_room() {
                self.spare += 1;
            } else {
                page.release();
            }
        }
        if !page.open && page.has_room() {
            page.open = true;
            self.open.push(number as u32);
        }
        Some(value)
    }

    /// The entry that is linked under this index.
    pub(super) fn entry_mut(&mut self, index: u32) -> &mut Entry<T> {
        let (number, offset) = place(index);
        self.touches.count();
        &mut self.pages[number].entries[offset]
    }

    /// The entry that is linked under this index.
    pub(super) fn entry(&self, index: u32) -> &Entry<T> {
        let (number, offset) = place(index);
        self.touches.count();
        &self.pages[number].entries[offset]
    }

    /// The entry that the key names, if its value is still there.
    pub(super) fn find(&self, key: Key) -> Option<&Entry<T>> {
        let (number, offset) = place(key.index);
        self.touches.count();
        let entry = self.pages.get(number)?.entries.get(offset)?;
        // A vacant entry has a generation without a key; only the key of another wheel could be mistaken for one.
        (entry.generation == key.generation && entry.value.is_some()).then_some(entry)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The number of a page that takes one more entry.
    fn page_with_room(&mut self) -> Option<usize> {
        while let Some(&number) = self.open.last() {
            let page = &mut self.pages[number as usize];
            if page.has_room() && !page.is_bare() {
                return Some(number as usize);
            }
            self.open.pop();
            page.open = false;
            if page.has_room() {
                self.bare.push(number);
            }
        }
        let number = match self.bare.pop() {
            Some(number) => number,
            None if self.pages.len() < self.pages_max => {
                self.pages.push(Page::new());
                (self.pages.len() - 1) as u32
            }
            None => return None,
        };
        self.pages[number as usize].open = true;
        self.open.push(number);
        Some(number as usize)
    }
}

impl<T> Page<T> {
    fn new() -> Page<T> {
        Page { entries: Vec::new(), free: NIL, pending: 0, fresh: 0, open: false }
    }

    /// Gives back the memory of entries that are all vacant.
    fn release(&mut self) {
        // Each entry is looked at once for the insertion that made it.
        self.fresh = self.entries.iter().map(|entry| entry.generation).fold(self.fresh, u32::max);
        self.free = NIL;
        self.entries = Vec::new();
    }

    fn has_room(&self) -> bool {
        self.free != NIL || (self.entries.len() < ENTRIES_PER_PAGE && self.fresh < EXHAUSTED)
    }

    fn is_bare(&self) -> bool {
        self.entries.is_empty()
    }

    fn is_spare(&self) -> bool {
        self.pending == 0 && !self.is_bare()
    }
}

/// The number of the page, and the place in it.
fn place(index: u32) -> (usize, usize) {
    (index as usize / ENTRIES_PER_PAGE, index as usize % ENTRIES_PER_PAGE)
}

#[cfg(test)]
impl<T> Slab<T> {
    /// Entries that there is memory for.
    pub(super) fn capacity(&self) -> usize {
        self.pages.iter().map(|page| page.entries.capacity()).sum()
    }

    /// How often entries were looked at since the last call.
    pub(super) fn take_touches(&self) -> u64 {
        self.touches.take()
    }

    /// Compares what is counted with what is there.
    pub(super) fn check(&self) {
        for (number, page) in self.pages.iter().enumerate() {
            let pending = page.entries.iter().filter(|entry| entry.value.is_some()).count();
            assert_eq!(page.pending as usize, pending, "page {number}");
            let open = self.open.iter().filter(|&&open| open as usize == number).count();
            let bare = self.bare.iter().filter(|&&bare| bare as usize == number).count();
            assert_eq!(usize::from(page.open), open, "page {number}");
            assert!(bare == 0 || page.is_bare(), "page {number}");
            assert_eq!(
                open + bare,
                usize::from(page.has_room() || page.open),
                "page {number} is in one stack"
            );
            let mut vacant = 0;
            let mut free = page.free;
            while free != NIL {
                let entry = &page.entries[place(free).1];
                assert!(entry.value.is_none() && entry.generation < EXHAUSTED, "entry {free}");
                vacant += 1;
                free = entry.next;
            }
            let exhausted = page.entries.iter().filter(|entry| entry.generation == EXHAUSTED).count();
            assert_eq!(pending + vacant + exhausted, page.entries.len(), "page {number}");
        }
        assert_eq!(self.pages.iter().map(|page| page.pending as usize).sum::<usize>(), self.len);
        assert_eq!(self.pages.iter().filter(|page| page.is_spare()).count(), self.spare);
        assert!(self.spare <= SPARE_PAGES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill<T: Clone>(slab: &mut Slab<T>, count: usize, value: T) -> Vec<Key> {
        (0..count).map(|_| slab.insert(0, value.clone()).ok().expect("there is room")).collect()
    }

    fn empty<T>(slab: &mut Slab<T>, keys: &[Key]) {
        for key in keys {
            assert!(slab.remove(key.index).is_some());
        }
        slab.check();
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Key>(), 8);
        assert_eq!(size_of::<Entry<Box<u8>>>(), 32);
        assert_eq!(size_of::<Entry<Box<dyn Fn()>>>(), 40);
        assert!(size_of::<Entry<u8>>() <= 32 + 1);
        assert!(size_of::<Entry<u64>>() <= 32 + 8);
        assert!(size_of::<Entry<[u64; 5]>>() <= 32 + 40);
    }

    #[test]
    fn no_index_ends_a_list() {
        assert_eq!(ENTRIES_MAX, PAGES_MAX * ENTRIES_PER_PAGE);
        assert!(ENTRIES_MAX - 1 < NIL as usize);
    }

    #[test]
    fn pages_are_full_before_there_is_another() {
        let mut slab = Slab::new(3);
        let keys = fill(&mut slab, 3 * ENTRIES_PER_PAGE, 'a');
        slab.check();
        assert_eq!(slab.insert(0, 'b'), Err('b'));
        assert_eq!(slab.len(), 3 * ENTRIES_PER_PAGE);
        let indices: Vec<usize> = keys.iter().map(|key| key.index as usize).collect();
        assert_eq!(indices, (0..3 * ENTRIES_PER_PAGE).collect::<Vec<_>>());
        empty(&mut slab, &keys);
        fill(&mut slab, 3 * ENTRIES_PER_PAGE, 'c');
        assert_eq!(slab.insert(0, 'd'), Err('d'));
    }

    #[test]
    fn empty_pages_give_their_memory_back_while_others_are_in_use() {
        let mut slab = Slab::new(PAGES_MAX);
        let keys = fill(&mut slab, 50 * ENTRIES_PER_PAGE, ());
        assert_eq!(slab.capacity(), 50 * ENTRIES_PER_PAGE);
        let (first, rest) = keys.split_first().expect("there are keys");
        empty(&mut slab, rest);
        assert_eq!(slab.capacity(), (1 + SPARE_PAGES) * ENTRIES_PER_PAGE);
        assert!(slab.find(*first).is_some());
        // The next burst takes the pages again, and no new ones.
        fill(&mut slab, 50 * ENTRIES_PER_PAGE - 1, ());
        slab.check();
        assert_eq!((slab.pages.len(), slab.capacity()), (50, 50 * ENTRIES_PER_PAGE));
    }

    #[test]
    fn coming_and_going_at_the_edge_of_a_page_keeps_the_memory() {
        let mut slab = Slab::new(PAGES_MAX);
        let burst = fill(&mut slab, 50 * ENTRIES_PER_PAGE, ());
        empty(&mut slab, &burst);
        let kept = slab.capacity();
        for _ in 0..10 {
            let keys = fill(&mut slab, 2 * ENTRIES_PER_PAGE, ());
            assert_eq!(slab.capacity(), kept);
            empty(&mut slab, &keys);
            assert_eq!(slab.capacity(), kept);
        }
    }

    #[test]
    fn a_key_stays_stale_when_its_page_was_released_and_filled_again() {
        let mut slab = Slab::new(SPARE_PAGES + 3);
        let mut stale: Vec<Key> = Vec::new();
        for round in 0..5 {
            let keys = fill(&mut slab, (SPARE_PAGES + 3) * ENTRIES_PER_PAGE, round);
            assert!(stale.iter().all(|key| slab.find(*key).is_none()), "round {round}");
            assert!(keys.iter().all(|key| slab.find(*key).is_some()), "round {round}");
            empty(&mut slab, &keys);
            assert!(slab.pages.iter().any(Page::is_bare));
            assert!(keys.iter().all(|key| slab.find(*key).is_none()), "round {round}");
            stale.extend(keys);
        }
    }

    #[test]
    fn an_exhausted_entry_rests_and_its_page_is_lost_with_its_memory() {
        let mut slab = Slab::new(2);
        // As if each entry of the first page had been used so often that it can be used twice more.
        slab.pages.push(Page { fresh: EXHAUSTED - 2, open: true, ..Page::new() });
        slab.bare.clear();
        slab.open.push(0);
        let first = fill(&mut slab, 1, 'a');
        empty(&mut slab, &first);
        let second = fill(&mut slab, 1, 'b');
        assert_eq!(second[0].index, first[0].index);
        empty(&mut slab, &second);
        let third = fill(&mut slab, 1, 'c');
        assert_ne!(third[0].index, first[0].index);
        for stale in [first[0], second[0]] {
            assert!(slab.find(stale).is_none());
        }
        empty(&mut slab, &third);
        // The other entries, twice; then nothing of the page is left.
        for _ in 0..2 * (ENTRIES_PER_PAGE - 1) - 1 {
            let keys = fill(&mut slab, 1, 'd');
            assert_eq!(place(keys[0].index).0, 0);
            empty(&mut slab, &keys);
        }
        assert!(slab.pages[0].is_bare());
        let keys = fill(&mut slab, ENTRIES_PER_PAGE, 'e');
        assert!(keys.iter().all(|key| place(key.index).0 == 1));
        assert_eq!(slab.insert(0, 'f'), Err('f'));
        empty(&mut slab, &keys);
    }
}
