// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.IO;
using Pronghorn.Handoff.Image;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Moves;

/// <summary>
/// Images of connections that a worker has already and that still lack something which only leaving repair lets be restored: bytes that
/// were never sent, or the peer's FIN. They are files, so that a daemon which is killed in that instant leaves them to the next one.
/// </summary>
/// <remarks>Any thread; a connection is one thread's at a time.</remarks>
public sealed class ImageStore
{
    // What is older was left by a daemon whose worker has gone as well: workers wait less long for the next one.
    private static readonly TimeSpan s_oldest = TimeSpan.FromMinutes(2);

    private readonly string _folder;

    private ImageStore(string folder) => _folder = folder;

    /// <summary>Opens the folder, for the daemon's user alone, and takes out of it what nobody will ask for any more.</summary>
    /// <param name="folder">The folder; made if it is missing.</param>
    /// <exception cref="IOException">It cannot be made or read.</exception>
    public static ImageStore Open(string folder)
    {
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        foreach (string file in Directory.GetFiles(folder))
        {
            if (DateTime.UtcNow - File.GetLastWriteTimeUtc(file) > s_oldest)
            {
                File.Delete(file);
            }
        }

        return new ImageStore(folder);
    }

    /// <summary>Keeps an image until <see cref="Forget"/>, without what goes along for the application, which has that.</summary>
    /// <returns>False where the disk does not take it: the move needs it only should the daemon be killed within it.</returns>
    public bool TrySave(TcpEnd local, TcpEnd remote, ConnectionImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        var bytes = new ArrayBufferWriter<byte>(image.SendQueue.Length + image.ReceiveQueue.Length + 512);
        ImageCodec.Write(image with { Consumed = default, Tag = default }, bytes);
        try
        {
            File.WriteAllBytes(PathOf(local, remote), bytes.WrittenSpan);
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Forget(local, remote);
            return false;
        }
    }

    /// <summary>The image of a connection by its ends here; null when there is none, or only a part was written.</summary>
    public ConnectionImage? Find(TcpEnd local, TcpEnd remote)
    {
        try
        {
            return ImageCodec.Read(File.ReadAllBytes(PathOf(local, remote)));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ImageFormatException)
        {
            return null;
        }
    }

    /// <summary>The connection is whole, or has gone.</summary>
    public void Forget(TcpEnd local, TcpEnd remote)
    {
        try
        {
            File.Delete(PathOf(local, remote));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The next connection of these ends writes over it, and Open deletes it.
        }
    }

    private string PathOf(TcpEnd local, TcpEnd remote) => Path.Combine(_folder, $"{local}-{remote}");
}
