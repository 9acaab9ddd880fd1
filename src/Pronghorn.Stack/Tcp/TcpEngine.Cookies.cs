// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <content>
/// A SYN that finds its listener's queue of handshakes full is answered out of nothing and remembered nowhere (RFC 4987
/// 3.6; Linux: tcp_syncookies=1). The acknowledgment of that answer makes the connection.
/// </content>
public sealed partial class TcpEngine
{
    private void SendCookie(ref TcpListener listener, in TcpSegment syn)
    {
        if (!TryRentControl(syn.InterfaceId, out int frame))
        {
            return;
        }

        listener.OverflowedAt = _now;
        TcpHeader header = default;
        header.SourcePort = syn.DestinationPort;
        header.DestinationPort = syn.SourcePort;
        header.Sequence = _cookies.Make(syn, _now);
        header.Acknowledgment = syn.Sequence + 1;
        header.Flags = TcpFlags.Syn | TcpFlags.Ack;
        header.Window = CookieWindow(listener.Settings);
        header.Options.MaximumSegmentSize =
            (ushort)AdvertisedMss(_stack.PathMtuOf(syn.Source, syn.InterfaceId, _now), listener.Settings);
        if (_options.UseTimestamps && syn.Options.HasTimestamps)
        {
            FillCookieOptions(ref header.Options, listener.Settings, syn);
        }

        _counters.Add(Counter.TcpSynCookiesSent);
        SendStateless(syn, frame, header, listener.Settings.Ttl, listener.Settings.TypeOfService);
    }

    /// <summary>Without timestamps there is nowhere to keep window scale and SACK, and so neither is agreed on (as Linux).</summary>
    private void FillCookieOptions(ref TcpOptions options, in SocketSettings settings, in TcpSegment syn)
    {
        TcpOptions offered = default;
        offered.SackPermitted = _options.UseSack && syn.Options.SackPermitted;
        offered.WindowScale = _options.UseWindowScale ? syn.Options.WindowScale : (sbyte)-1;
        options.SackPermitted = offered.SackPermitted;
        options.WindowScale = offered.WindowScale >= 0 ? (sbyte)ReceiveShiftFor(settings) : (sbyte)-1;
        options.HasTimestamps = true;
        options.TimestampEcho = syn.Options.TimestampValue;
        options.TimestampValue = SynCookies.StampOptions(TimestampClock(), offered)
            + NewTimestampOffset(syn.Destination, syn.DestinationPort, syn.Source, syn.SourcePort);
    }

    /// <summary>The window that a cookie's SYN-ACK tells; when it comes back, the record must start with the same.</summary>
    private ushort CookieWindow(in SocketSettings settings) => (ushort)Math.Min(
        settings.ReceiveBuffer > 0 ? settings.ReceiveBuffer : _options.InitialReceiveBuffer, ushort.MaxValue);

    /// <summary>An acknowledgment that no connection knows comes to a listener: the end of a handshake by cookie, perhaps.</summary>
    /// <returns>False when it is not, and must be answered by a reset (RFC 9293 3.10.7.2).</returns>
    private bool FinishWithCookie(int listener, ref TcpSegment segment)
    {
        ref TcpListener record = ref _listeners[listener];

        // Only a listener that gave out cookies lately takes them: nobody may guess at the others.
        if (!record.OverflowedAt.IsSet || _now - record.OverflowedAt > Limits.CookieLife
            || segment.Is(TcpFlags.Syn))
        {
            return false;
        }

        TcpSegment syn = segment;
        if (!_cookies.TryRead(segment, _now, out int mss) || !RestoreOptions(segment, mss, ref syn.Options))
        {
            _counters.Add(Counter.TcpSynCookiesFailed);
            return false;
        }

        _counters.Add(Counter.TcpSynCookiesReceived);
        if (record.AcceptCount > record.Backlog)
        {
            // No reset: what the peer sends next, it will send again, and by then there may be room (as Linux).
            _counters.Drop(DropReason.TcpAcceptQueueFull);
            return true;
        }

        syn.Sequence = segment.Sequence - 1;
        syn.Flags = TcpFlags.Syn;
        int id = OpenPassive(listener, syn, segment.Acknowledgment - 1);
        if (id != 0)
        {
            ref TransmissionControlBlock tcb = ref _connections[id];
            tcb.RcvWnd = CookieWindow(record.Settings);
            SegmentArrivesSynchronized(id, ref tcb, ref segment);
        }

        return true;
    }

    private bool RestoreOptions(in TcpSegment ack, int mss, ref TcpOptions options)
    {
        options = default;
        options.MaximumSegmentSize = (ushort)mss;
        options.WindowScale = -1;
        if (!ack.Options.HasTimestamps)
        {
            return true;
        }

        options.HasTimestamps = true;
        options.TimestampValue = ack.Options.TimestampValue;
        uint stamp = ack.Options.TimestampEcho
            - NewTimestampOffset(ack.Destination, ack.DestinationPort, ack.Source, ack.SourcePort);
        return SynCookies.TryReadStamp(stamp, ref options);
    }
}
