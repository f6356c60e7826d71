//! How a request and an answer lie on a stream: a length of four bytes, big-endian, then that many
//! bytes, then the end of the stream. Whatever is longer, shorter or followed by more is refused.
//! It knows nothing of what the bytes mean.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response;

use crate::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES};

/// Name and version of the protocol.
pub(crate) const SYNC_PROTOCOL: StreamProtocol = StreamProtocol::new("/sealwire/sync/1");

/// The codec of [`SYNC_PROTOCOL`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SyncCodec;

impl request_response::Codec for SyncCodec {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, MAX_REQUEST_BYTES).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, MAX_RESPONSE_BYTES).await
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &bytes, MAX_REQUEST_BYTES).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &bytes, MAX_RESPONSE_BYTES).await
    }
}

/// Reads one frame and the end of the stream. Memory grows with what has arrived, not with what
/// the length claims. A stream that ends before its first byte is `UnexpectedEof`; every breach of
/// the form is `InvalidData`.
async fn read_frame<T>(io: &mut T, limit: usize) -> io::Result<Vec<u8>>
where
    T: AsyncRead + Unpin + Send,
{
    let mut prefix = [0; PREFIX_BYTES];
    io.read_exact(&mut prefix).await?;
    let claimed = u32::from_be_bytes(prefix);
    let length = usize::try_from(claimed).ok().filter(|length| *length <= limit);
    let Some(length) = length else {
        return Err(breach(format!("frame of {claimed} bytes, at most {limit}")));
    };
    let mut bytes = Vec::new();
    io.take(u64::from(claimed) + 1).read_to_end(&mut bytes).await?;
    match bytes.len() {
        read if read < length => Err(breach(format!("frame of {length} bytes ends at {read}"))),
        read if read > length => Err(breach(format!("frame of {length} bytes has more after it"))),
        _ => Ok(bytes),
    }
}

/// Writes one frame; the caller closes the stream.
async fn write_frame<T>(io: &mut T, bytes: &[u8], limit: usize) -> io::Result<()>
where
    T: AsyncWrite + Unpin + Send,
{
    let prefix = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= limit);
    let Some(prefix) = prefix else {
        return Err(breach(format!("frame of {} bytes, at most {limit}", bytes.len())));
    };
    io.write_all(&prefix.to_be_bytes()).await?;
    io.write_all(bytes).await?;
    io.flush().await
}

fn breach(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

const PREFIX_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 4096;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        block_on(read_frame(&mut Cursor::new(bytes), LIMIT))
    }

    fn write(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Cursor::new(Vec::new());
        block_on(write_frame(&mut out, bytes, LIMIT))?;
        Ok(out.into_inner())
    }

    fn kind(bytes: &[u8]) -> io::ErrorKind {
        read(bytes).expect_err("to be refused").kind()
    }

    #[test]
    fn refuses_truncated_trailing_and_oversize_frames() {
        assert_eq!(kind(&[]), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[0, 0, 0]), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[0, 0, 0, 2, 9]), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[0, 0, 0, 1, 9, 9]), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[0, 0, 0x10, 1, 9]), io::ErrorKind::InvalidData);
        assert_eq!(kind(&[0xff; 8]), io::ErrorKind::InvalidData);
    }

    #[test]
    fn refuses_to_write_above_the_limit_and_writes_up_to_it() {
        assert_eq!(write(&vec![1; LIMIT]).expect("at the limit").len(), LIMIT + PREFIX_BYTES);
        assert!(write(&vec![1; LIMIT + 1]).is_err());
    }

    #[test]
    fn an_empty_frame_is_a_frame() {
        assert_eq!(read(&write(&[]).expect("a frame")).expect("a frame"), Vec::<u8>::new());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..LIMIT)) {
            prop_assert_eq!(read(&write(&bytes)?)?, bytes);
        }

        #[test]
        fn arbitrary_bytes_are_read_whole_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            if let Ok(content) = read(&bytes) {
                prop_assert_eq!(write(&content)?, bytes);
            }
        }
    }
}
