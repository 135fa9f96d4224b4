//! Files that are sent to a socket, by sendfile(2) and through a buffer.

mod net_support;

use futures_lite::future::try_zip;
use net_support::copies::{Plain, Way, file_of, receive};
use net_support::{MIB, in_child_under, pair, pattern, run};
use runtime::io::{AsyncWriteExt, copy_file, send_file};
use std::io::{self, ErrorKind};

async fn a_file_is_sent(way: Way) {
    let data = pattern(5 * MIB + 3);
    let file = file_of(&data);
    let length = data.len() as u64;
    // The ranges are all of the file, a part, more than there is, nothing, and one behind the end.
    for (offset, count, sent) in [
        (0, length, length),
        (1000, 3 * MIB as u64, 3 * MIB as u64),
        (MIB as u64, u64::MAX, length - MIB as u64),
        (77, 0, 0),
        (length + 5, 10, 0),
    ] {
        let (ours, mut peer) = pair().await.unwrap();
        let sending = async {
            let mut ours = Plain(ours);
            let count = match way {
                Way::Splice => send_file(&file, offset, count, &mut ours.0).await?,
                Way::Copy => copy_file(&file, offset, count, &mut ours).await?,
            };
            ours.close().await?;
            Ok(count)
        };
        let (count, got) = try_zip(sending, receive(&mut peer)).await.unwrap();
        assert_eq!(count, sent, "from {offset}");
        let from = offset.min(length) as usize;
        assert!(got == data[from..from + sent as usize], "from {offset}");
    }
    assert_eq!(io::Seek::stream_position(&mut &file).unwrap(), length, "it is left where it was");
}

#[test]
fn a_file_is_sent_by_the_kernel() {
    run(a_file_is_sent(Way::Splice));
}

#[test]
fn a_file_is_sent_by_a_buffer() {
    run(a_file_is_sent(Way::Copy));
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no sendfile")]
fn a_file_is_sent_where_the_kernel_refuses() {
    const NAME: &str = "a_file_is_sent_where_the_kernel_refuses";
    for (case, errno) in [("at once", "EINVAL"), ("EPERM", "EPERM"), ("late", "ENOSYS:when=2+")] {
        let inject = format!("inject=sendfile:error={errno}");
        in_child_under(NAME, case, &["-e", "trace=sendfile", "-e", &inject], || {
            run(a_file_is_sent(Way::Splice));
        });
    }
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no sendfile")]
fn a_file_is_sent_though_there_is_no_descriptor_to_spare() {
    const NAME: &str = "a_file_is_sent_though_there_is_no_descriptor_to_spare";
    in_child_under(NAME, "EMFILE", &["-e", "trace=fcntl", "-e", "inject=fcntl:error=EMFILE"], || {
        run(a_file_is_sent(Way::Splice));
    });
}

#[test]
fn a_descriptor_that_is_no_file_cannot_be_sent() {
    run(async {
        let (reader, _writer) = io::pipe().unwrap();
        let file = std::fs::File::from(std::os::fd::OwnedFd::from(reader));
        let (mut ours, peer) = pair().await.unwrap();
        assert_eq!(send_file(&file, 0, 10, &mut ours).await.unwrap_err().kind(), ErrorKind::NotSeekable);
        let file = file_of(&pattern(32 * MIB));
        drop(peer);
        let error = send_file(&file, 0, u64::MAX, &mut ours).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    });
}
