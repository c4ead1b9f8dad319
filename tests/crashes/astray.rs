//! The store's file goes while the program runs, and the program starts without it.

use std::path::Path;
use std::process::Command;

use crate::life::{Fate, GiveBack, live};
use crate::program::binary;
use crate::time::have;
use crate::unavailable::{finishes, life, refuses_everything};
use crate::world::World;

/// What is said of it, and the deed.
type Deed = (&'static str, fn(&Path, &Path));

/// What a person may do to the folder of a running store; beside is where it goes to.
const DEEDS: [Deed; 5] = [
    ("removed or moved away", move_folder),
    ("removed or moved away", |store, beside| {
        // The files have other names and stay, so that they can be put back.
        std::fs::create_dir(beside).expect("a folder");
        for file in std::fs::read_dir(store).expect("a folder") {
            let file = file.expect("a file");
            std::fs::rename(file.path(), beside.join(file.file_name())).expect("it is moved");
        }
    }),
    ("is another file", |store, beside| {
        move_folder(store, beside);
        std::fs::create_dir(store).expect("a folder");
        let copied = std::fs::copy(beside.join("gopay.db"), store.join("gopay.db"));
        copied.expect("it is copied");
    }),
    ("written over", |store, beside| {
        copy_folder(store, beside);
        // The same file, with what another program wrote.
        let copied = std::fs::copy(beside.join("gopay.db"), store.join("gopay.db"));
        copied.expect("it is written over");
    }),
    ("written over", |store, beside| {
        copy_folder(store, beside);
        std::fs::File::create(store.join("gopay.db-wal")).expect("it is cut short");
    }),
];

/// What a person keeps before something happens to the store.
fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for name in ["gopay.db", "gopay.db-wal"] {
        std::fs::copy(from.join(name), to.join(name)).expect("it is copied");
    }
}

fn move_folder(from: &Path, to: &Path) {
    std::fs::rename(from, to).expect("it is moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_goes_while_it_is_open_costs_no_charge() {
    if !have("faketime") {
        return;
    }
    for (reason, deed) in DEEDS {
        let world = World::new("").await;
        world.program.start(&world.time);
        assert!(world.until_up().await, "{}", world.program.log());
        let mut lives = vec![
            live(&world, life(0, Fate::Pays, GiveBack::Nothing)).await,
            live(&world, life(1, Fate::Abandons, GiveBack::Nothing)).await,
        ];
        let store = world.settings.engine.file().parent().expect("a folder").to_owned();
        let beside = store.with_extension("old");
        deed(&store, &beside);
        refuses_everything(&world, &mut lives).await;
        let (_, unready) = world.admin("/health/ready").await;
        assert!(unready.contains(reason), "{reason}: {unready}");
        let log = world.program.log();
        let told = log.lines().any(|line| line.contains("ERROR") && line.contains(reason));
        assert!(told, "{reason}: {log}");

        // A start on nothing is refused, and makes nothing.
        world.program.kill();
        if !store.join("gopay.db").exists() {
            let ended = Command::new(binary())
                .args(["--log", "off", "serve", "--config"])
                .arg(world.program.config())
                .output()
                .expect("it runs");
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(!ended.status.success() && said.contains("holds no store"), "{said}");
            assert!(!store.join("gopay.db").exists(), "an empty store was made");
        }
        let _ = std::fs::remove_dir_all(&store);
        move_folder(&beside, &store);
        world.program.start(&world.time);
        assert!(world.until_up().await, "{}", world.program.log());
        finishes(&world, lives).await;
    }
}
