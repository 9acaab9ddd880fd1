// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Lab.Cdn.Events;

/// <summary>
/// One thread with an epoll(7) instance: everything of a worker runs on it, so its state needs no lock. What is awaited on the loop goes
/// on there, whoever completes it.
/// </summary>
public sealed class EventLoop : SynchronizationContext, IDisposable
{
    /// <summary>SOCK_NONBLOCK and SOCK_CLOEXEC, of every descriptor here.</summary>
    internal const int DescriptorFlags = 0x80800;

    private const int Add = 1;
    private const int Delete = 2;
    private const uint In = 1;
    private const uint Out = 4;
    private const uint PeerEnded = 0x2000;
    private const uint EdgeTriggered = 1u << 31;
    private const ulong WakeNumber = 0;

    private readonly int _epoll = Checked(Libc.EpollCreate(), "epoll_create1");
    private readonly int _wake = Checked(Libc.EventDescriptor(0, DescriptorFlags), "eventfd");

    private readonly ConcurrentQueue<(SendOrPostCallback Code, object? State)> _posted = new();
    private readonly Dictionary<ulong, LoopDescriptor> _descriptors = [];
    private readonly byte[] _woken = new byte[sizeof(ulong)];
    private ulong _lastNumber = WakeNumber;
    private int _isAwake;
    private int _thread;
    private volatile bool _isDisposed;

    /// <summary>Makes it; <see cref="Run"/> runs it.</summary>
    public EventLoop() => Checked(Libc.EpollControl(_epoll, Add, _wake, In, WakeNumber), "epoll_ctl");

    /// <summary>Runs the loop on this thread until the task that the code returns has ended, and rethrows its failure.</summary>
    public void Run(Func<Task> code)
    {
        ArgumentNullException.ThrowIfNull(code);
        SynchronizationContext? former = Current;
        SetSynchronizationContext(this);
        _thread = Environment.CurrentManagedThreadId;
        try
        {
            Task task = code();

            // Wakes the loop.
            task.ContinueWith(
                (_, _) => Post(static _ => { }, null), null, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            Span<EpollReady> ready = stackalloc EpollReady[64];
            while (!task.IsCompleted)
            {
                RunPosted();
                if (!task.IsCompleted)
                {
                    Wait(ready);
                }
            }

            task.GetAwaiter().GetResult();
        }
        finally
        {
            SetSynchronizationContext(former);
        }
    }

    /// <inheritdoc/>
    public override void Post(SendOrPostCallback d, object? state)
    {
        _posted.Enqueue((d, state));
        if (!_isDisposed && Environment.CurrentManagedThreadId != _thread && Interlocked.Exchange(ref _isAwake, 1) == 0)
        {
            Span<byte> one = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(one, 1);
            _ = Libc.Write(_wake, one);
        }
    }

    /// <inheritdoc/>
    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Lets others have their turn.</summary>
    public async ValueTask YieldAsync() => await Task.Yield();

    /// <inheritdoc/>
    public void Dispose()
    {
        _isDisposed = true;
        _ = Libc.Close(_epoll);
        _ = Libc.Close(_wake);
    }

    internal ulong Watch(LoopDescriptor descriptor)
    {
        ulong number = ++_lastNumber;
        _descriptors.Add(number, descriptor);
        Checked(Libc.EpollControl(_epoll, Add, descriptor.Number, In | Out | PeerEnded | EdgeTriggered, number), "epoll_ctl");
        return number;
    }

    internal void Forget(LoopDescriptor descriptor, ulong number)
    {
        _descriptors.Remove(number);
        _ = Libc.EpollControl(_epoll, Delete, descriptor.Number, 0, 0);
    }

    private static int Checked(int result, string call) =>
        result >= 0 ? result : throw new LabException($"{call}: {Errno.Describe(result)}");

    private void RunPosted()
    {
        // Those only that are there now, so that descriptors have their turn.
        for (int left = _posted.Count; left > 0 && _posted.TryDequeue(out (SendOrPostCallback Code, object? State) one); left--)
        {
            one.Code(one.State);
        }
    }

    private void Wait(Span<EpollReady> ready)
    {
        int count = Libc.EpollWait(_epoll, ready, _posted.IsEmpty ? -1 : 0);
        for (int i = 0; i < count; i++)
        {
            if (ready[i].Data == WakeNumber)
            {
                _ = Libc.Read(_wake, _woken);
                Interlocked.Exchange(ref _isAwake, 0);
            }
            else if (_descriptors.TryGetValue(ready[i].Data, out LoopDescriptor? descriptor))
            {
                descriptor.Signal(
                    isReadable: (ready[i].Events & ~Out) != 0,
                    isWritable: (ready[i].Events & ~(In | PeerEnded)) != 0);
            }
        }
    }
}
