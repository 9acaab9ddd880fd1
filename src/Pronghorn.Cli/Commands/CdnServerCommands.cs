// SPDX-License-Identifier: Apache-2.0
using System;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Cli.Hosting;
using Pronghorn.Lab.Cdn.Load;
using Pronghorn.Lab.Cdn.Servers;
using Pronghorn.Lab.Cdn.Topology;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Cli.Commands;

/// <summary>The servers of <c>pronghorn lab cdn</c>, each in the foreground.</summary>
internal static class CdnServerCommands
{
    /// <summary>What the load generator says when what is counted begins.</summary>
    internal const string BeginLine = "begin";

    private const double MostSeconds = 86_400;

    internal static Command CreateLas()
    {
        Option<string> node = new("--node") { Description = "Name of the node, as in pop_struct.conf.", Required = true };
        Option<string> listen = ListenOption();
        Option<LasWay> way = new("--way")
        {
            Description = "Requests for others' contents: relay, splice or handoff.",
            DefaultValueFactory = _ => LasWay.Handoff,
        };
        Option<int> workers = new("--workers") { Description = "Threads, as svcWorkerNum.", DefaultValueFactory = _ => 1 };
        Option<string?> lds = new("--lds") { Description = "Where the LDS answers; without, all contents are here." };
        Option<string?> origin = new("--origin") { Description = "Where contents come from; without, they are generated." };
        Option<string?> media = MediaOption();
        Option<double> roam = RoamOption();
        Option<string?> sockets = new("--socket-directory") { Description = "Unix sockets of the handoff daemon." };
        Option<string?> congestionControl = new("--congestion-control")
        {
            Description = "Of connections, as in net.ipv4.tcp_available_congestion_control; without, the host's.",
        };
        Command command = new("las", "A server of content: files and streams over HTTP.")
        {
            node, listen, way, workers, lds, origin, media, roam, sockets, congestionControl,
        };
        command.SetAction(result => Serve(new LasOptions
        {
            Node = result.GetValue(node)!,
            Listen = ReadEnd("--listen", result.GetValue(listen)!),
            Way = result.GetValue(way),
            Workers = result.GetValue(workers),
            Lds = result.GetValue(lds) is { } end ? ReadEnd("--lds", end) : null,
            Origin = result.GetValue(origin) is { } where ? ReadUri(where) : null,
            Media = result.GetValue(media),
            Roam = TimeSpan.FromSeconds(result.GetValue(roam)),
            SocketDirectory = result.GetValue(sockets),
            CongestionControl = result.GetValue(congestionControl),
        }));
        return command;
    }

    internal static Command CreateOrigin()
    {
        Option<string> listen = ListenOption();
        Command command = new("origin", "The server that all contents come from.") { listen };
        command.SetAction(result => Serve(new LasOptions
        {
            Node = "origin",
            Listen = ReadEnd("--listen", result.GetValue(listen)!),
            Way = LasWay.Relay,
        }));
        return command;
    }

    internal static Command CreateLds()
    {
        Option<string> listen = ListenOption();
        Option<string> structure = new("--pop-struct") { Description = "The nodes; followed when it changes.", Required = true };
        Command command = new("lds", "The server that says which node has a content.") { listen, structure };
        command.SetAction(result => CdnCommand.Guard(async () =>
        {
            using var interruption = new Interruption();
            try
            {
                TcpEnd end = ReadEnd("--listen", result.GetValue(listen)!);
                var where = new IPEndPoint(IPAddress.Parse(end.Address.ToString()), end.Port);
                using var server = new LdsServer(result.GetValue(structure)!, where, Terminal.Note);
                await server.RunAsync(interruption.Token);
            }
            catch (PopStructureException mistake)
            {
                throw new CommandException(mistake.Message, ExitStatus.Usage);
            }

            return ExitStatus.Done;
        }));
        return command;
    }

    internal static Command CreateLoad()
    {
        Option<string> target = new("--target") { Description = "Where clients connect to, as 203.0.113.10:8003.", Required = true };
        Option<int> connections = Number("--connections", "Connections at a time.", 16);
        Option<int> requests = Number("--requests", "Requests of a connection.", 8);
        Option<int> files = Number("--files", "Different files.", 32);
        Option<int> size = Number("--size", "Bytes of each.", 4 << 20);
        Option<double> seconds = new("--seconds") { Description = "Seconds that are counted.", DefaultValueFactory = _ => 2 };
        Option<double> warmUp = new("--warm-up") { Description = "Seconds before.", DefaultValueFactory = _ => 0.5 };
        Option<int> switches = new("--switch")
        {
            Description = "Of 100 requests on a connection, how many are for another file than the one before.",
            DefaultValueFactory = _ => 100,
        };
        Option<bool> checks = new("--check") { Description = "Compare every byte." };
        Command command = new("load", "Clients that ask for files; prints one JSON object.")
        {
            target, connections, requests, files, size, switches, seconds, warmUp, checks,
        };
        command.SetAction(result =>
        {
            var options = new LoadOptions
            {
                Target = ReadEnd("--target", result.GetValue(target)!),
                Connections = result.GetValue(connections),
                Requests = result.GetValue(requests),
                Files = result.GetValue(files),
                Size = result.GetValue(size),
                SwitchPercent = result.GetValue(switches),
                Seconds = result.GetValue(seconds),
                WarmUp = result.GetValue(warmUp),
                Checks = result.GetValue(checks),
            };
            if (options.Seconds is not (> 0 and <= MostSeconds) || options.WarmUp is not (>= 0 and <= MostSeconds)
                || options.SwitchPercent is < 0 or > 100)
            {
                throw new CommandException(
                    FormattableString.Invariant(
                        $"--seconds is more than 0 and up to {MostSeconds}, --warm-up 0 to {MostSeconds}, --switch 0 to 100"),
                    ExitStatus.Usage);
            }

            LoadResult got = new LoadGenerator(options, static () => Terminal.Note(BeginLine)).Run();
            Terminal.Result(JsonSerializer.Serialize(got, CdnJson.Default.LoadResult));
            return got.Failures == 0 ? ExitStatus.Done : ExitStatus.Failed;
        });
        return command;
    }

    /// <summary>The folder of media; its value is an absolute path.</summary>
    internal static Option<string?> MediaOption() => new("--media")
    {
        Description = "Folder of files for /media; without, there are none.",
        CustomParser = static given =>
        {
            string folder = Path.GetFullPath(given.Tokens.Single().Value);
            if (!Directory.Exists(folder))
            {
                given.AddError($"--media: there is no folder '{folder}'");
            }

            return folder;
        },
    };

    internal static Option<double> RoamOption()
    {
        const double Most = 86_400;
        Option<double> option = new("--roam")
        {
            Description = "Seconds after which a stream moves on to the next node, in its middle; 0: it stays.",
            DefaultValueFactory = _ => 0,
        };
        option.Validators.Add(given =>
        {
            if (given.GetValueOrDefault<double>() is not (>= 0 and <= Most))
            {
                given.AddError(FormattableString.Invariant($"--roam: 0 to {Most} seconds"));
            }
        });
        return option;
    }

    private static Option<int> Number(string name, string text, int standard)
    {
        Option<int> option = new(name) { Description = text, DefaultValueFactory = _ => standard };
        option.Validators.Add(given =>
        {
            if (given.GetValueOrDefault<int>() < 1)
            {
                given.AddError($"{name}: at least 1");
            }
        });
        return option;
    }

    private static Option<string> ListenOption() =>
        new("--listen") { Description = "Address and port, as 10.2.0.11:8000.", Required = true };

    private static TcpEnd ReadEnd(string option, string text) => IPEndPoint.TryParse(text, out IPEndPoint? end) && end.Port != 0
        ? new TcpEnd(IpAddress.Parse(end.Address.ToString()), (ushort)end.Port)
        : throw new CommandException($"{option}: '{text}' is no address with a port, as 10.2.0.11:8000", ExitStatus.Usage);

    private static Uri ReadUri(string text) => Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) && uri.Scheme == Uri.UriSchemeHttp
        ? uri
        : throw new CommandException($"--origin: '{text}' is no address as http://10.2.0.3:8000", ExitStatus.Usage);

    private static int Serve(LasOptions options) => CdnCommand.Guard(async () =>
    {
        using var interruption = new Interruption();
        using var server = new LasServer(options, Terminal.Note);
        await server.RunAsync(interruption.Token);
        return ExitStatus.Done;
    });
}
