//! Key slots: any one opens, and the last way in is never lost.

use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::site::{BLOCK_BYTES, Site, cheap, content, passphrase};
use crate::repo::{
    ConfigRepair, Error, KdfParams, KeySlotState, ObjectId, Repository, RepositoryKey, SlotKind,
    Store, VerifyLevel,
};
use crate::secret::Secret;

fn kdf() -> KdfParams {
    cheap(8).kdf
}

fn text(text: &str) -> RepositoryKey {
    RepositoryKey::passphrase(&Secret::new(text.to_owned()))
}

fn file(byte: u8) -> RepositoryKey {
    RepositoryKey::key_file(vec![byte; 64].into()).unwrap()
}

impl Site {
    fn open(&self, key: RepositoryKey) -> Result<Repository, Error> {
        let store = Store::with_objects(self.objects.clone(), "memory");
        self.runtime.block_on(Repository::open(store, key))
    }

    fn add(&self, key: &RepositoryKey, label: &str) -> Result<ObjectId, Error> {
        self.runtime.block_on(self.repo.add_key(key, label, kdf()))
    }

    fn own_slot(&self) -> ObjectId {
        let slots = self.runtime.block_on(self.repo.key_slots()).unwrap();
        slots.iter().find(|slot| slot.opened_by).unwrap().id
    }
}

#[test]
fn each_slot_opens_alone_and_a_removed_one_no_longer() {
    let site = Site::new(2);
    let first = site.own_slot();
    let by_file = site.add(&file(1), "proxy 1").unwrap();
    let (recovery, shown) = RepositoryKey::new_recovery().unwrap();
    site.add(&recovery, "safe").unwrap();

    let slots = site.runtime.block_on(site.repo.key_slots()).unwrap();
    let told: Vec<_> = slots
        .iter()
        .map(|slot| match &slot.state {
            KeySlotState::Usable { kind, label } => (*kind, label.as_str(), slot.opened_by),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told.len(), 3);
    assert!(told.contains(&(SlotKind::Passphrase, "made with the repository", true)));
    assert!(told.contains(&(SlotKind::KeyFile, "proxy 1", false)));
    assert!(told.contains(&(SlotKind::Recovery, "safe", false)));

    let opened = site.open(file(1)).unwrap();
    assert_eq!(opened.config().id, site.repo.config().id);
    site.open(text(&shown.expose().to_lowercase())).unwrap();
    site.runtime.block_on(opened.remove_key(first)).unwrap();
    let refused = site.open((&passphrase()).into()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the passphrase opens none of the 2 key slots"
    );
    let wrong = site.open(file(2)).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the key file opens none of the 2 key slots"
    );
    let again = site.runtime.block_on(site.repo.remove_key(by_file));
    // The site's own slot is gone: it is put back, so that the repository stays open to somebody.
    assert!(matches!(again, Err(Error::KeySlotPutBack { slot }) if slot == first));
}

#[test]
fn two_who_remove_each_others_slot_do_not_lock_everybody_out() {
    let site = Site::new(2);
    let mine = site.own_slot();
    let theirs = site.add(&file(1), "").unwrap();
    let other = site.open(file(1)).unwrap();
    site.runtime.block_on(site.repo.remove_key(theirs)).unwrap();
    let result = site.runtime.block_on(other.remove_key(mine));
    assert!(matches!(result, Err(Error::KeySlotPutBack { slot }) if slot == theirs));
    site.open(file(1)).unwrap();
}

#[test]
fn the_slot_in_use_stays_and_is_replaced_only_by_one_that_opens() {
    let site = Site::new(2);
    let own = site.own_slot();
    let refused = site.runtime.block_on(site.repo.remove_key(own));
    assert!(matches!(refused, Err(Error::KeySlotInUse { slot }) if slot == own));
    let new = site
        .runtime
        .block_on(site.repo.replace_key(&text("another"), "", kdf()))
        .unwrap();
    assert_eq!(site.own_slot(), new);
    assert!(site.open((&passphrase()).into()).is_err());
    let reopened = site.open(text("another")).unwrap();
    let slots = site.runtime.block_on(reopened.key_slots()).unwrap();
    assert_eq!(slots.len(), 1);
}

#[test]
fn slots_are_found_by_the_beginning_of_their_id() {
    let site = Site::new(2);
    let own = site.own_slot();
    let find = |prefix: &str| site.runtime.block_on(site.repo.find_key(prefix));
    assert_eq!(find(&own.to_string()).unwrap(), own);
    assert_eq!(find(&own.to_string()[..12].to_lowercase()).unwrap(), own);
    for none in ["", "ZZ", "../key"] {
        let error = find(none).unwrap_err();
        assert!(matches!(error, Error::KeySlotNotFound { .. }), "{none}");
    }
    let gone = site
        .runtime
        .block_on(site.repo.remove_key(ObjectId::generate()));
    assert!(matches!(gone, Err(Error::KeySlotNotFound { .. })));
}

#[test]
fn labels_and_numbers_are_bounded() {
    let site = Site::new(2);
    for label in ["line\nbreak", "\u{1b}[2J", &"x".repeat(201)] {
        assert!(matches!(site.add(&file(1), label), Err(Error::BadLabel)));
    }
    for number in 1..16 {
        site.add(&file(number), "").unwrap();
    }
    let full = site.add(&file(99), "");
    assert!(matches!(full, Err(Error::TooManyKeySlots { slots: 16 })));
}

#[test]
fn damage_to_a_slot_is_told_and_the_others_open() {
    let site = Site::new(2);
    let own = site.own_slot();
    let second = site.add(&file(1), "").unwrap();
    let put = |slot: ObjectId, bytes: &'static str| {
        let path = Path::from(format!("key/{slot}"));
        let put = site.objects.put(&path, bytes.into());
        site.runtime.block_on(put).unwrap();
    };
    put(own, r#"{"version": 0, "kind": "pass"#);
    let opened = site.open(file(1)).unwrap();
    let slots = site.runtime.block_on(opened.key_slots()).unwrap();
    assert!(matches!(
        &slots.iter().find(|slot| slot.id == own).unwrap().state,
        KeySlotState::Damaged { .. }
    ));
    let closed = site.open((&passphrase()).into()).unwrap_err();
    assert_eq!(
        closed.to_string(),
        format!("the passphrase opens none of the 2 key slots, one of which is damaged: key/{own}")
    );
    put(second, r#"{"version": 9, "kind": "later", "kdf": "new"}"#);
    assert!(site.open(file(1)).unwrap_err().is_damage());
    put(own, r#"{"version": 9, "kind": "later", "kdf": "new"}"#);
    let later = site.open(file(1)).unwrap_err();
    assert!(matches!(later, Error::NeedsFeature { .. }), "{later}");
}

fn repair(site: &Site, key: RepositoryKey) -> Result<ConfigRepair, Error> {
    let store = Store::with_objects(site.objects.clone(), "memory");
    site.runtime
        .block_on(async { Repository::repair_config(&store, key).await })
}

#[test]
fn config_comes_back_from_any_key_slot() {
    let site = Site::new(2);
    let image = content(1, 3 * BLOCK_BYTES);
    let point = site.backup(&image, None, 1).unwrap();
    site.add(&file(1), "proxy 1").unwrap();
    let sound = site.read("config");
    let own = || RepositoryKey::from(&passphrase());
    assert_eq!(repair(&site, own()).unwrap(), ConfigRepair::Sound);

    site.delete("config");
    let lost = site.open(own()).unwrap_err();
    assert!(matches!(lost, Error::ConfigLost { .. }), "{lost}");
    let wrong = repair(&site, text("wrong")).unwrap_err();
    assert!(matches!(wrong, Error::WrongKey { .. }), "{wrong}");
    assert_eq!(repair(&site, file(1)).unwrap(), ConfigRepair::Written);
    assert_eq!(site.read("config"), sound);

    let other = Site::new(2);
    let cut = sound[..sound.len() / 2].to_vec();
    let mut shifted = sound.clone();
    let at = sound.windows(4).position(|part| part == b": 12").unwrap();
    shifted[at + 3] = b'3';
    for bad in [
        cut,
        b"{}".to_vec(),
        other.read("config"),
        shifted,
        vec![b' '; 70_000],
    ] {
        site.write("config", bad.clone());
        let told = match site.open(own()) {
            Err(error) => error.is_damage(),
            // A default that was changed: only a verification can know.
            Ok(repo) => {
                let level = VerifyLevel::Structure;
                let report = repo.verify(site.runtime.handle(), level, &()).unwrap();
                report.findings.iter().any(|found| found.object == "config")
            }
        };
        assert!(
            told,
            "{}",
            String::from_utf8_lossy(&bad[..20.min(bad.len())])
        );
        assert_eq!(repair(&site, own()).unwrap(), ConfigRepair::Written);
        assert_eq!(site.read("config"), sound);
    }
    assert!(site.restore(&site.reopen().unwrap(), point).unwrap() == image);
    // What a later program has written is left to it.
    site.write("config", br#"{"format": 9}"#.to_vec());
    let later = repair(&site, own()).unwrap_err();
    assert!(matches!(later, Error::FormatTooNew { .. }), "{later}");
}

#[test]
fn a_slot_of_an_earlier_program_opens_and_holds_no_copy() {
    let site = Site::new(2);
    let name = format!("key/{}", site.own_slot());
    let mut slot: serde_json::Value = serde_json::from_slice(&site.read(&name)).unwrap();
    slot.as_object_mut().unwrap().remove("repository").unwrap();
    site.write(&name, serde_json::to_vec(&slot).unwrap());
    let own = || RepositoryKey::from(&passphrase());
    assert!(site.open(own()).is_ok());
    let none = repair(&site, own()).unwrap_err();
    assert!(matches!(none, Error::NoConfigCopy), "{none}");
    // Beside one with a copy it is told what is known of each.
    site.add(&file(1), "").unwrap();
    assert_eq!(repair(&site, file(1)).unwrap(), ConfigRepair::Sound);
    for key in [own(), text("wrong")] {
        let told = repair(&site, key).unwrap_err().to_string();
        assert_eq!(
            told,
            "the passphrase opens none of the 1 key slots that hold a copy of config; 1, made by another version of the program, \
             cannot be tried without config"
        );
    }
}
