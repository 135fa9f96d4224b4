//! The functions of `fs` that take a path, and the entries of folders.
#![cfg(not(miri))] // Miri has no threads of the pool that reach the disk.

mod common;

use common::temp_path::TempPath;
use common::{poll_once, rounds, run};
use runtime::fs::{self, DirBuilder, File};
use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, copy_file, send_file, splice};
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirEntryExt, PermissionsExt};
use std::path::Path;

#[test]
fn every_function_does_what_that_of_std_does() {
    let folder = TempPath::folder();
    run(async {
        let at = |name: &str| folder.join(name);
        fs::write(at("a"), "text").await.unwrap();
        assert_eq!(fs::read(at("a")).await.unwrap(), b"text");
        assert_eq!(fs::read_to_string(at("a")).await.unwrap(), "text");
        fs::set_permissions(at("a"), PermissionsExt::from_mode(0o640)).await.unwrap();
        assert_eq!(fs::copy(at("a"), at("b")).await.unwrap(), 4);
        assert_eq!(fs::metadata(at("b")).await.unwrap().permissions().mode() & 0o777, 0o640);
        fs::rename(at("b"), at("c")).await.unwrap();
        assert!(fs::try_exists(at("c")).await.unwrap() && !fs::try_exists(at("b")).await.unwrap());
        fs::hard_link(at("c"), at("d")).await.unwrap();
        fs::remove_file(at("c")).await.unwrap();
        assert_eq!(fs::read(at("d")).await.unwrap(), b"text");
        fs::symlink(at("d"), at("e")).await.unwrap();
        assert_eq!(fs::read_link(at("e")).await.unwrap(), at("d"));
        assert_eq!(fs::canonicalize(at("e")).await.unwrap(), std::fs::canonicalize(at("d")).unwrap());
        assert!(fs::symlink_metadata(at("e")).await.unwrap().is_symlink());
        assert!(fs::metadata(at("e")).await.unwrap().is_file());
        fs::create_dir(at("f")).await.unwrap();
        assert_eq!(fs::create_dir(at("f")).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
        fs::create_dir_all(at("f/g/h")).await.unwrap();
        assert_eq!(fs::remove_dir(at("f")).await.unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
        fs::remove_dir(at("f/g/h")).await.unwrap();
        fs::remove_dir_all(at("f")).await.unwrap();
        assert_eq!(fs::metadata(at("f")).await.unwrap_err().kind(), ErrorKind::NotFound);
        fs::write(at("i"), [0xff]).await.unwrap();
        assert_eq!(fs::read_to_string(at("i")).await.unwrap_err().kind(), ErrorKind::InvalidData);
        DirBuilder::new().recursive(true).mode(0o700).create(at("j/k")).await.unwrap();
        assert_eq!(fs::metadata(at("j/k")).await.unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(DirBuilder::new().create(at("l/m")).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_call_whose_future_is_dropped_before_it_begins_is_not_made() {
    let _watchdog = common::watchdog();
    let path = TempPath::new();
    let runtime = runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let busy = runtime::task::spawn_blocking(move || released.recv());
        assert!(poll_once(fs::write(&path, "never")).await.is_none());
        drop(release);
        busy.await.unwrap().unwrap_err();
        fs::metadata("/").await.unwrap();
        assert!(!fs::try_exists(&path).await.unwrap());
    });
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no /proc")]
fn a_file_that_reports_no_length_is_read_whole() {
    run(async {
        let path = "/proc/kallsyms";
        assert_eq!(std::fs::metadata(path).unwrap().len(), 0);
        let expected = std::fs::read(path).unwrap();
        assert!(fs::read(path).await.unwrap() == expected);
        let mut read = Vec::new();
        File::open(path).await.unwrap().read_to_end(&mut read).await.unwrap();
        assert!(read == expected && !read.is_empty());
    });
}

#[test]
fn a_file_that_grows_or_shrinks_while_it_is_read_gives_a_true_prefix() {
    const MIB: usize = 1 << 20;
    let path = TempPath::file(&vec![1; MIB]);
    run(async {
        let mut writer = std::fs::File::options().append(true).open(&path).unwrap();
        let growing = std::thread::spawn(move || (0..9).for_each(|_| writer.write_all(&[1; MIB]).unwrap()));
        let read = fs::read(&path).await.unwrap();
        assert!(read.len() >= MIB && read.iter().all(|byte| *byte == 1));
        growing.join().unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        // The file shrinks to nothing: of a page that it keeps in part, the kernel itself fills the rest with zeros,
        // which a read at the same time may see.
        let shrinking = std::thread::spawn(move || file.set_len(0).unwrap());
        let read = fs::read(&path).await.unwrap();
        assert!(read.len() <= 10 * MIB && read.iter().all(|byte| *byte == 1), "no padding");
        shrinking.join().unwrap();
    });
}

fn fill(folder: &Path, count: usize) -> BTreeSet<String> {
    let names: BTreeSet<String> = (0..count).map(|number| format!("entry {number}")).collect();
    names.iter().for_each(|name| drop(std::fs::File::create(folder.join(name)).unwrap()));
    names
}

#[test]
fn each_entry_of_a_large_folder_is_returned_once() {
    let folder = TempPath::folder();
    let names = fill(&folder, rounds(100_000, 3000, 1));
    run(async {
        let mut entries = fs::read_dir(&folder).await.unwrap();
        let mut found = BTreeSet::new();
        loop {
            // No entry is lost when a future is dropped.
            let next = match poll_once(entries.next_entry()).await {
                Some(next) => next,
                None => entries.next_entry().await,
            };
            let Some(entry) = next.unwrap() else { break };
            assert!(entry.file_type().await.unwrap().is_file());
            let name = entry.file_name().into_string().unwrap();
            assert_eq!(entry.path(), folder.join(&name));
            assert!(found.insert(name), "returned twice");
        }
        assert!(found == names);
        for _ in 0..3 {
            assert!(entries.next_entry().await.unwrap().is_none());
        }
        assert_eq!(fs::read_dir(folder.join("none")).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn an_entry_has_its_metadata() {
    let folder = TempPath::folder();
    run(async {
        fs::write(folder.join("file"), "four").await.unwrap();
        let mut entries = fs::read_dir(&folder).await.unwrap();
        let entry = entries.next_entry().await.unwrap().unwrap();
        assert_eq!(entry.metadata().await.unwrap().len(), 4);
        let of_std = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
        assert_eq!(entry.ino(), of_std.ino());
        fs::remove_file(entry.path()).await.unwrap();
        assert_eq!(entry.metadata().await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_folder_whose_entries_are_removed_while_they_are_listed_is_empty_in_the_end() {
    let folder = TempPath::folder();
    fill(&folder, 2000);
    run(async {
        let mut entries = fs::read_dir(&folder).await.unwrap();
        while let Some(entry) = entries.next_entry().await.unwrap() {
            fs::remove_file(entry.path()).await.unwrap();
        }
        fs::remove_dir(&folder).await.unwrap();
    });
}

#[test]
fn a_task_that_takes_entries_in_a_loop_lets_others_run() {
    let folder = TempPath::folder();
    fill(&folder, 1000);
    run(async {
        let mut entries = fs::read_dir(&folder).await.unwrap();
        let turns = common::Count::default();
        let counted = turns.clone();
        let other = runtime::spawn(async move {
            loop {
                counted.add();
                runtime::task::yield_now().await;
            }
        });
        let mut before = 0;
        for number in 0..200 {
            entries.next_entry().await.unwrap().unwrap();
            if number == 0 {
                before = turns.get();
            }
        }
        assert!(turns.get() > before, "200 entries are more than a budget");
        other.abort();
    });
}

#[test]
fn a_file_of_the_runtime_is_sent_as_one_of_std_is() {
    let path = TempPath::new();
    run(async {
        let mut file = File::create_new(&path).await.unwrap();
        file.write_all(b"0123456789").await.unwrap();
        file.flush().await.unwrap();
        let mut copied = Vec::new();
        assert_eq!(copy_file(&file, 2, 5, &mut copied).await.unwrap(), 5);
        assert_eq!(copied, b"23456");
        let (mut one, mut other) = runtime::net::UnixStream::pair().unwrap();
        assert_eq!(send_file(&file, 7, 100, &mut one).await.unwrap(), 3);
        drop(one);
        let mut text = String::new();
        other.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "789");
    });
}

#[test]
fn a_file_is_spliced_from_and_to_and_no_byte_is_out_of_place() {
    let (from, to) = (TempPath::new(), TempPath::new());
    let bytes: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(&from, &bytes).unwrap();
    run(async {
        let mut source = File::open(&from).await.unwrap();
        let mut target = File::create(&to).await.unwrap();
        source.read_exact(&mut [0; 7]).await.unwrap();
        target.write_all(b"before ").await.unwrap();
        // Much arrives at the socket, so that the kernel moves bytes into a pipe before it finds that the writer is a
        // file.
        let (one, other) = runtime::net::UnixStream::pair().unwrap();
        let sending = runtime::spawn(splice(source, one));
        let count = splice(other, &mut target).await.unwrap();
        assert_eq!((count, sending.await.unwrap().unwrap()), (2_999_993, 2_999_993));
        // The copy has flushed the file.
        let written = std::fs::read(&to).unwrap();
        assert!(&written[..7] == b"before " && written[7..] == bytes[7..]);
        target.rewind().await.unwrap();
        target.write_all(b"after").await.unwrap();
        // From file to file, and with the bytes of a file of std.
        let mut source = File::open(&from).await.unwrap();
        assert_eq!(splice(&mut source, &mut target).await.unwrap(), 3_000_000);
        let file = std::fs::File::open(&from).unwrap();
        assert_eq!(send_file(&file, 1, 10, &mut target).await.unwrap(), 10);
        target.close().await.unwrap();
        let written = std::fs::read(&to).unwrap();
        assert!(written[..5] == *b"after" && written[5..3_000_005] == bytes);
        assert!(written[3_000_005..] == bytes[1..11]);
    });
}

#[test]
fn the_error_of_a_file_ends_a_splice_to_it() {
    let path = TempPath::file(b"text");
    run(async {
        let (source, read_only) = (File::open(&path).await.unwrap(), File::open(&path).await.unwrap());
        let error = splice(source, read_only).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    });
}
