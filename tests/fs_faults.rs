//! Faults of the disk and of the system, injected by strace(1): the documented error, nothing hung, nothing lost.
#![cfg(all(target_os = "linux", not(miri)))]

mod net_support;
#[path = "common/temp_path.rs"]
#[allow(dead_code, reason = "a part is used")]
mod temp_path;

use futures_lite::future::poll_once;
use net_support::{in_child_under, in_namespace, open_descriptors, watchdog};
use runtime::fs::{self, File};
use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, copy};
use std::cell::Cell;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::rc::Rc;
use temp_path::TempPath;

/// Runs a future on a runtime with one thread for blocking calls. strace counts the calls of each thread.
fn run(future: impl Future<Output = ()>) {
    let _watchdog = watchdog();
    runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap().block_on(future);
}

/// Runs `body` with a file whose path strace is told, so that the faults hit no other file.
fn with_faults(name: &str, case: &str, faults: &[&str], body: impl FnOnce(&std::path::Path)) {
    let path = std::env::temp_dir().join(format!("runtime-{name}"));
    let mut arguments = vec!["-P", path.to_str().unwrap()];
    faults.iter().for_each(|fault| arguments.extend(["-e", fault]));
    in_child_under(name, case, &arguments, || {
        _ = std::fs::remove_file(&path);
        body(&path);
        std::fs::remove_file(&path).unwrap();
    });
}

#[test]
fn bytes_that_did_not_fit_are_written_by_a_later_flush() {
    const NAME: &str = "bytes_that_did_not_fit_are_written_by_a_later_flush";
    with_faults(NAME, "ENOSPC", &["inject=write:error=ENOSPC:when=1..2"], |path| {
        run(async {
            let bytes: Vec<u8> = (0..600_000u32).map(|number| (number % 251) as u8).collect();
            let mut file = File::create_new(path).await.unwrap();
            file.write_all(&bytes).await.unwrap();
            assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::StorageFull, "the first write");
            assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::StorageFull, "the second write");
            file.flush().await.unwrap();
            file.write_all(b"and more").await.unwrap();
            file.sync_all().await.unwrap();
            let written = std::fs::read(path).unwrap();
            assert!(written[..bytes.len()] == bytes && &written[bytes.len()..] == b"and more");
        });
    });
}

#[test]
fn a_read_after_a_write_that_failed_writes_it_first() {
    const NAME: &str = "a_read_after_a_write_that_failed_writes_it_first";
    with_faults(NAME, "ENOSPC", &["inject=write:error=ENOSPC:when=1..2"], |path| {
        run(async {
            let mut file = File::create_new(path).await.unwrap();
            file.write_all(b"kept").await.unwrap();
            let mut text = String::new();
            let failed = file.read_to_string(&mut text).await.unwrap_err();
            assert_eq!(failed.kind(), ErrorKind::StorageFull);
            assert_eq!(file.rewind().await.map_err(|error| error.kind()), Ok(()).map(|()| 0));
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "kept");
            // Nobody has been told of the write itself.
            assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::StorageFull);
            file.flush().await.unwrap();
        });
    });
}

#[test]
fn sync_and_close_never_report_success_before_the_error_of_a_write() {
    const NAME: &str = "sync_and_close_never_report_success_before_the_error_of_a_write";
    for case in ["sync_all", "sync_data", "close"] {
        with_faults(NAME, case, &["inject=write:error=EIO:when=1"], |path| {
            run(async {
                let base = open_descriptors();
                let mut file = File::create_new(path).await.unwrap();
                file.write_all(b"text").await.unwrap();
                for errno in [Some(libc::EIO), None] {
                    let result = match case {
                        "sync_all" => file.sync_all().await,
                        "sync_data" => file.sync_data().await,
                        _ => file.close().await,
                    };
                    assert_eq!(result.err().and_then(|error| error.raw_os_error()), errno);
                }
                assert_eq!(std::fs::read(path).unwrap(), b"text");
                drop(file);
                assert_eq!(open_descriptors(), base);
            });
        });
    }
}

#[test]
fn interrupted_calls_are_repeated() {
    const NAME: &str = "interrupted_calls_are_repeated";
    let faults = ["inject=read,write,preadv2:error=EINTR:when=1+2"];
    with_faults(NAME, "EINTR", &faults, |path| {
        run(async {
            let mut file = File::create_new(path).await.unwrap();
            file.write_all(b"text").await.unwrap();
            file.rewind().await.unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "text");
        });
    });
}

#[test]
fn a_kernel_without_reads_that_do_not_wait_reads_the_same() {
    const NAME: &str = "a_kernel_without_reads_that_do_not_wait_reads_the_same";
    for (case, fault) in [
        ("none", "inject=preadv2:error=ENOSYS"),
        ("sandbox", "inject=preadv2:error=EPERM"),
        ("file system", "inject=preadv2:error=EOPNOTSUPP"),
        ("not in memory", "inject=preadv2:error=EAGAIN"),
        ("Linux 5.9", "inject=preadv2:retval=0"),
    ] {
        with_faults(NAME, case, &[fault], |path| {
            run(async {
                let bytes: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
                std::fs::write(path, &bytes).unwrap();
                let mut file = File::open(path).await.unwrap();
                let mut read = vec![0; 1000];
                file.read_exact(&mut read).await.unwrap();
                file.read_to_end(&mut read).await.unwrap();
                assert!(read == bytes);
            });
        });
    }
}

#[test]
fn an_error_while_a_folder_is_listed_comes_after_the_entries_and_ends_them() {
    const NAME: &str = "an_error_while_a_folder_is_listed_comes_after_the_entries_and_ends_them";
    in_child_under(
        NAME,
        "EIO",
        &["-e", "trace=getdents64", "-e", "inject=getdents64:error=EIO:when=3"],
        || {
            let folder = TempPath::folder();
            (0..4000)
                .for_each(|number| drop(std::fs::File::create(folder.join(number.to_string())).unwrap()));
            run(async {
                let mut entries = fs::read_dir(&folder).await.unwrap();
                let mut count = 0;
                let error = loop {
                    match entries.next_entry().await {
                        Ok(entry) => assert!(entry.is_some()),
                        Err(error) => break error,
                    }
                    count += 1;
                };
                assert_eq!(error.raw_os_error(), Some(libc::EIO));
                assert!(count > 500, "two calls return some hundreds of entries: {count}");
                for _ in 0..3 {
                    assert!(entries.next_entry().await.unwrap().is_none());
                }
            });
        },
    );
}

#[test]
fn without_a_thread_every_call_fails_and_no_bytes_are_lost() {
    const NAME: &str = "without_a_thread_every_call_fails_and_no_bytes_are_lost";
    // The first one may be that of the test itself, which then runs on the main thread.
    let fault = "inject=clone,clone3:error=EAGAIN:when=1..4";
    in_child_under(NAME, "EAGAIN", &["-e", "trace=clone,clone3", "-e", fault], || {
        let path = TempPath::new();
        let mut file = File::from_std(std::fs::File::create(&path).unwrap());
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let error = fs::read("/").await.unwrap_err();
            assert!(error.to_string().contains("thread"), "{error}");
            file.write_all(b"text").await.unwrap();
            let error = file.flush().await.unwrap_err();
            assert!(error.to_string().contains("thread"), "{error}");
            file.sync_all().await.unwrap_err();
            if file.flush().await.is_err() {
                file.flush().await.unwrap();
            }
            assert_eq!(std::fs::read(&path).unwrap(), b"text");
        });
    });
}

/// Each operation of the file is started while another one is in progress, so its queue is never empty.
#[test]
fn a_file_that_is_always_in_use_leaves_the_thread_to_others() {
    const NAME: &str = "a_file_that_is_always_in_use_leaves_the_thread_to_others";
    with_faults(NAME, "slow", &["inject=fsync:delay_enter=1000"], |path| {
        run(async {
            let file = Rc::new(File::create_new(path).await.unwrap());
            let has_ended = Rc::new(Cell::new(false));
            let users: Vec<_> = (0..4)
                .map(|_| {
                    let (file, has_ended) = (file.clone(), has_ended.clone());
                    runtime::spawn(async move {
                        while !has_ended.get() {
                            file.sync_all().await.unwrap();
                        }
                    })
                })
                .collect();
            runtime::task::yield_now().await;
            for _ in 0..5 {
                runtime::task::spawn_blocking(|| ()).await.unwrap();
                fs::metadata("/").await.unwrap();
            }
            has_ended.set(true);
            for user in users {
                user.await.unwrap();
            }
        });
    });
}

/// The kernel tells the error of a write to the disk once. So does a file, but not to a future that has been dropped.
#[test]
fn the_error_of_a_sync_that_was_dropped_is_returned_by_the_next() {
    const NAME: &str = "the_error_of_a_sync_that_was_dropped_is_returned_by_the_next";
    for case in ["sync_all", "sync_data", "flush"] {
        with_faults(NAME, case, &["inject=fsync,fdatasync:error=EIO:when=1"], |path| {
            run(async {
                let mut file = File::create_new(path).await.unwrap();
                // The only thread is busy, so that the sync has not ended when it is dropped.
                let (release, released) = std::sync::mpsc::channel::<()>();
                let busy = runtime::task::spawn_blocking(move || released.recv());
                file.write_all(b"text").await.unwrap();
                let dropped = match case {
                    "sync_data" => poll_once(file.sync_data()).await,
                    _ => poll_once(file.sync_all()).await,
                };
                assert!(dropped.is_none());
                drop(release);
                busy.await.unwrap().unwrap_err();
                file.metadata().await.unwrap();
                for errno in [Some(libc::EIO), None] {
                    let result = match case {
                        "sync_all" => file.sync_all().await,
                        "sync_data" => file.sync_data().await,
                        _ => file.flush().await,
                    };
                    assert_eq!(result.err().and_then(|error| error.raw_os_error()), errno, "{case}");
                }
            });
        });
    }
}

/// Each system call fails once, at its first call for the file. The caller gets the errno, and the next call succeeds.
#[test]
fn the_caller_gets_each_errno_and_the_next_call_succeeds() {
    const NAME: &str = "the_caller_gets_each_errno_and_the_next_call_succeeds";
    let cases = [
        ("openat", "EMFILE", libc::EMFILE),
        ("openat", "EIO", libc::EIO),
        ("fsync", "ENOSPC", libc::ENOSPC),
        ("fdatasync", "EIO", libc::EIO),
        ("ftruncate", "EFBIG", libc::EFBIG),
        ("lseek", "EIO", libc::EIO),
        ("fchmod", "EPERM", libc::EPERM),
        ("utimensat", "EROFS", libc::EROFS),
        ("fcntl", "EMFILE", libc::EMFILE),
        ("read", "EIO", libc::EIO),
        ("write", "EDQUOT", libc::EDQUOT),
    ];
    for (call, name, errno) in cases {
        let case = format!("{call} {name}");
        let mut faults = vec![format!("inject={call}:error={name}:when=1")];
        if call == "read" {
            faults.push("inject=preadv2:error=EAGAIN".to_owned());
        }
        let faults: Vec<&str> = faults.iter().map(String::as_str).collect();
        with_faults(NAME, &case, &faults, |path| {
            run(async {
                let base = open_descriptors();
                let mut errors = 0;
                let mut count = |result: std::io::Result<()>| {
                    if let Err(error) = &result {
                        assert_eq!(error.raw_os_error(), Some(errno), "{case}");
                        errors += 1;
                    }
                    result.is_ok()
                };
                let mut file = match File::create_new(path).await {
                    Ok(file) => file,
                    Err(error) => {
                        assert!(!count(Err(error)));
                        File::create_new(path).await.unwrap()
                    }
                };
                file.write_all(b"0123456789").await.unwrap();
                while !count(file.flush().await) {}
                while !count(file.sync_all().await) {}
                while !count(file.sync_data().await) {}
                while !count(file.set_len(8).await) {}
                while !count(file.rewind().await.map(drop)) {}
                let mut piece = [0; 4];
                while !count(file.read_exact(&mut piece).await.map(drop)) {}
                assert_eq!(&piece, b"0123");
                while !count(file.set_permissions(PermissionsExt::from_mode(0o600)).await) {}
                while !count(file.set_modified(std::time::SystemTime::now()).await) {}
                while !count(file.try_clone().await.map(drop)) {}
                assert_eq!(file.stream_position().await.unwrap(), 4, "{case}");
                let mut text = String::new();
                file.read_to_string(&mut text).await.unwrap();
                assert_eq!((text.as_str(), errors), ("4567", 1), "{case}");
                drop(file.into_std().await);
                assert_eq!(open_descriptors(), base, "{case}");
            });
        });
    }
}

#[test]
fn a_copy_returns_the_errors_of_its_calls_and_closes_its_files() {
    const NAME: &str = "a_copy_returns_the_errors_of_its_calls_and_closes_its_files";
    for (case, fault, errno) in [
        ("ENOSPC", "inject=copy_file_range:error=ENOSPC", Some(libc::ENOSPC)),
        ("EIO", "inject=copy_file_range:error=EIO", Some(libc::EIO)),
        ("refused", "inject=copy_file_range:error=EXDEV", None),
        ("short", "inject=copy_file_range:retval=0:when=1", None),
    ] {
        with_faults(NAME, case, &[fault], |path| {
            let source = TempPath::file(&[7; 100_000]);
            run(async {
                let base = open_descriptors();
                let result = fs::copy(&source, path).await;
                match errno {
                    None => assert_eq!(result.unwrap(), 100_000, "{case}"),
                    _ => assert_eq!(result.unwrap_err().raw_os_error(), errno, "{case}"),
                }
                assert_eq!(open_descriptors(), base, "{case}");
            });
        });
    }
}

#[test]
fn short_reads_and_writes_leave_no_gap() {
    const NAME: &str = "short_reads_and_writes_leave_no_gap";
    with_faults(NAME, "short", &["inject=preadv2:error=EAGAIN"], |path| {
        run(async {
            let (mut reader, writer) = std::io::pipe().unwrap();
            let bytes: Vec<u8> = (0..500_000u32).map(|number| (number % 251) as u8).collect();
            std::fs::write(path, &bytes).unwrap();
            // A pipe takes and gives less than it is asked for.
            let mut sink = File::from(OwnedFd::from(writer));
            let reading = std::thread::spawn(move || {
                let mut got = Vec::new();
                reader.read_to_end(&mut got).unwrap();
                got
            });
            let mut file = File::open(path).await.unwrap();
            assert_eq!(copy(&mut file, &mut sink).await.unwrap(), 500_000);
            sink.close().await.unwrap();
            drop(sink);
            assert!(reading.join().unwrap() == bytes);
        });
    });
}

/// The kernel returns one entry whose type it does not know, as some file systems do.
#[test]
fn an_entry_whose_type_the_kernel_does_not_know_is_looked_up() {
    const NAME: &str = "an_entry_whose_type_the_kernel_does_not_know_is_looked_up";
    // The entries `.`, `..` and `link` take 24 bytes each. One of 72 bytes replaces them: inode 1, offset 1, DT_UNKNOWN.
    let entry = ["0100000000000000", "0100000000000000", "4800", "00", "6c696e6b00"].concat();
    let fault = format!("inject=getdents64:poke_exit=@arg2={entry}:when=1");
    in_child_under(NAME, "type", &["-e", "trace=getdents64", "-e", &fault], || {
        let folder = TempPath::folder();
        std::os::unix::fs::symlink("/", folder.join("link")).unwrap();
        run(async {
            let mut entries = fs::read_dir(&folder).await.unwrap();
            let entry = entries.next_entry().await.unwrap().unwrap();
            assert_eq!((entry.file_name().to_str(), entry.ino()), (Some("link"), 1));
            assert!(entry.file_type().await.unwrap().is_symlink());
            assert!(entries.next_entry().await.unwrap().is_none());
        });
    });
}

/// A full file system of its own: a write fits in part, and the rest is written when there is room.
#[test]
fn a_disk_that_was_full_has_every_byte_once_there_is_room() {
    const SIZE: usize = 512 * 1024;
    in_namespace("a_disk_that_was_full_has_every_byte_once_there_is_room", || {
        let folder = TempPath::folder();
        let mount = ["-t", "tmpfs", "-o", "size=512k", "none"];
        if !Command::new("mount").args(mount).arg(&*folder).status().is_ok_and(|status| status.success()) {
            return eprintln!("passed over: a file system cannot be mounted");
        }
        run(async {
            std::fs::write(folder.join("other"), [0; 8192]).unwrap();
            let bytes: Vec<u8> = (0..SIZE - 4096).map(|number| (number % 251) as u8).collect();
            let mut file = File::create_new(folder.join("file")).await.unwrap();
            file.write_all(&bytes).await.unwrap();
            for _ in 0..3 {
                assert_eq!(file.flush().await.unwrap_err().kind(), ErrorKind::StorageFull);
            }
            assert_eq!(file.metadata().await.unwrap().len() as usize, SIZE - 8192, "a part was written");
            std::fs::remove_file(folder.join("other")).unwrap();
            file.flush().await.unwrap();
            assert!(std::fs::read(folder.join("file")).unwrap() == bytes);
        });
        assert!(Command::new("umount").arg(&*folder).status().unwrap().success());
    });
}
