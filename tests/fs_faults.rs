//! Faults of the disk and of the system, injected by strace(1): the documented error, nothing hung, nothing lost.
#![cfg(all(target_os = "linux", not(miri)))]

mod net_support;
#[path = "common/temp_path.rs"]
#[allow(dead_code, reason = "a part is used")]
mod temp_path;

use net_support::{in_child_under, open_descriptors, watchdog};
use runtime::fs::{self, File};
use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use std::io::ErrorKind;
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
            (0..10_000)
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
