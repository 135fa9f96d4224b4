//! Which copies the kernel makes, and which go through a buffer. If strace(1) injects an error into a system call and
//! the copy fails, the copy makes that call.

mod net_support;

use futures_lite::future::try_zip;
use net_support::copies::{Way, both_ways_at_once, file_of, proxied, receive, send};
use net_support::{MIB, in_child_under, pair, pattern, run};
use runtime::io::{
    AsyncReadFd, AsyncWrite, AsyncWriteExt, AsyncWriteFd, copy, copy_bidirectional, copy_file, join,
    send_file, splice, split,
};
use runtime::net::UnixStream;
use runtime::net::unix::pipe;
use runtime::spawn;

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no sendfile")]
fn it_is_the_kernel_that_moves_and_sends() {
    const NAME: &str = "it_is_the_kernel_that_moves_and_sends";
    in_child_under(
        NAME,
        "splice",
        &["-e", "trace=splice", "-e", "inject=splice:error=ENOMEM:when=3"],
        || {
            run(async {
                let (mut client, mut server, proxy) = proxied(Way::Splice).await.unwrap();
                let data = pattern(4 * MIB);
                let _ = try_zip(send(&mut client, &data), receive(&mut server)).await;
                assert_eq!(proxy.await.unwrap().unwrap_err().raw_os_error(), Some(libc::ENOMEM));
            });
        },
    );
    in_child_under(NAME, "sendfile", &["-e", "trace=sendfile", "-e", "inject=sendfile:error=EIO"], || {
        run(async {
            let (mut ours, _peer) = pair().await.unwrap();
            let error = send_file(&file_of(b"text"), 0, 4, &mut ours).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EIO));
        });
    });
}

/// Calls `then` with two streams of each kind that can be spliced, from the first to the second.
async fn of_every_kind<T>(
    mut then: impl AsyncFnMut(Box<dyn AsyncReadFd + Unpin + '_>, Box<dyn AsyncWriteFd + Unpin + '_>, &str) -> T,
) {
    /// Writes a bulk of data to one end, in a task.
    fn feed(mut source: impl AsyncWrite + Unpin + 'static) {
        drop(spawn(async move {
            source.write_all(&pattern(MIB)).await?;
            source.close().await
        }));
    }
    let streams = async || {
        let ((client, near), (far, server)) = (pair().await.unwrap(), pair().await.unwrap());
        feed(client);
        drop(spawn(async move { copy(server, runtime::io::sink()).await }));
        (near, far)
    };
    let (near, far) = streams().await;
    then(Box::new(near), Box::new(far), "streams").await;
    let (mut near, mut far) = streams().await;
    then(Box::new(near.split().0), Box::new(far.split().1), "borrowed halves").await;
    let (near, far) = streams().await;
    let ((reader, _writer), (_reader, writer)) = (near.into_split(), far.into_split());
    then(Box::new(reader), Box::new(writer), "owned halves").await;
    let (near, far) = streams().await;
    let ((reader, _writer), (_reader, writer)) = (split(near), split(far));
    then(Box::new(reader), Box::new(writer), "halves by `io::split`").await;
    let (near, far) = streams().await;
    then(Box::new(join(near, 0)), Box::new(join(0, far)), "joined streams").await;
    let (near, far) = streams().await;
    then(Box::new(&near), Box::new(&far), "references").await;
    let ((client, near), (far, server)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    feed(client);
    drop(spawn(async move { copy(server, runtime::io::sink()).await }));
    then(Box::new(near), Box::new(far), "Unix streams").await;
    let ((sender, near), (far, receiver)) = (pipe::pipe().unwrap(), pipe::pipe().unwrap());
    feed(sender);
    drop(spawn(async move { copy(receiver, runtime::io::sink()).await }));
    then(Box::new(near), Box::new(far), "pipes").await;
}

#[test]
fn every_kind_of_stream_is_spliced_whole() {
    run(of_every_kind(async |reader, writer, kind| {
        assert_eq!(splice(reader, writer).await.unwrap(), MIB as u64, "{kind}");
    }));
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no splice")]
fn every_kind_of_stream_is_spliced_by_the_kernel() {
    const NAME: &str = "every_kind_of_stream_is_spliced_by_the_kernel";
    let fails = ["-e", "trace=splice", "-e", "inject=splice:error=ENOMEM"];
    in_child_under(NAME, "strace", &fails, || {
        run(of_every_kind(async |reader, writer, kind| {
            let error = splice(reader, writer).await.expect_err(kind);
            assert_eq!(error.raw_os_error(), Some(libc::ENOMEM), "{kind}");
        }));
    });
}

#[test]
fn a_plain_copy_never_splices() {
    let fails = ["-e", "trace=splice,sendfile", "-e", "inject=splice,sendfile:error=ENOMEM"];
    in_child_under("a_plain_copy_never_splices", "strace", &fails, || {
        run(async {
            let (mut client, mut near) = pair().await.unwrap();
            let (mut far, mut server) = pair().await.unwrap();
            let proxy = spawn(async move { copy_bidirectional(&mut near, &mut far).await });
            let data = pattern(4 * MIB);
            let (_, got) = try_zip(send(&mut client, &data), receive(&mut server)).await.unwrap();
            assert!(got == data);
            drop((client, server));
            assert_eq!(proxy.await.unwrap().unwrap(), (data.len() as u64, 0));
            let (mut ours, peer) = pair().await.unwrap();
            assert_eq!(copy_file(&file_of(b"text"), 0, 4, &mut ours).await.unwrap(), 4);
            drop(peer);
        });
    });
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "there is no splice")]
fn a_system_that_does_not_splice_reads_and_writes() {
    const NAME: &str = "a_system_that_does_not_splice_reads_and_writes";
    for (case, errno) in
        [("EINVAL", "EINVAL"), ("ENOSYS", "ENOSYS"), ("EPERM", "EPERM"), ("late", "EINVAL:when=4+")]
    {
        let inject = format!("inject=splice:error={errno}");
        in_child_under(NAME, case, &["-e", "trace=splice", "-e", &inject], || {
            run(both_ways_at_once(Way::Splice));
        });
    }
}
