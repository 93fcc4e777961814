//! Handles are numbers in a table, never addresses: a stale one is found out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The open objects of one kind, by number.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    first: usize,
    open: Mutex<Open<T>>,
}

#[derive(Debug)]
struct Open<T> {
    made: usize,
    objects: BTreeMap<usize, Arc<T>>,
}

impl<T> Handles<T> {
    /// An empty table whose numbers start at `first`; no number comes twice.
    pub(crate) const fn new(first: usize) -> Self {
        let objects = BTreeMap::new();
        let open = Mutex::new(Open { made: 0, objects });
        Self { first, open }
    }

    /// Adds the object that `make` builds for its number.
    pub(crate) fn add(&self, make: impl FnOnce(usize) -> T) -> usize {
        let number = {
            let mut open = self.lock();
            open.made += 1;
            self.first + open.made * 16
        };
        let object = Arc::new(make(number));
        self.lock().objects.insert(number, object);
        number
    }

    /// The object of a number.
    pub(crate) fn get(&self, number: usize) -> Option<Arc<T>> {
        self.lock().objects.get(&number).map(Arc::clone)
    }

    /// All open objects.
    pub(crate) fn all(&self) -> Vec<Arc<T>> {
        self.lock().objects.values().map(Arc::clone).collect()
    }

    /// Takes an object out; its number is stale from now on.
    pub(crate) fn remove(&self, number: usize) -> Option<Arc<T>> {
        self.lock().objects.remove(&number)
    }

    /// Takes out all objects that `which` picks.
    pub(crate) fn remove_where(&self, which: impl Fn(&T) -> bool) -> Vec<Arc<T>> {
        let mut open = self.lock();
        let all = std::mem::take(&mut open.objects);
        let (picked, kept) = all.into_iter().partition(|(_, object)| which(object));
        open.objects = kept;
        let picked: BTreeMap<usize, Arc<T>> = picked;
        picked.into_values().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Open<T>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_never_used_again() {
        let table = Handles::new(0x1000);
        let first = table.add(|_| 'a');
        assert_eq!(table.get(first).as_deref(), Some(&'a'));
        assert!(table.remove(first).is_some());
        assert!(table.get(first).is_none());
        assert!(table.remove(first).is_none());
        let second = table.add(|_| 'b');
        assert_ne!(first, second);
        assert!(table.get(0).is_none());
        assert_eq!(table.remove_where(|object| *object == 'b').len(), 1);
        assert!(table.get(second).is_none());
    }
}
