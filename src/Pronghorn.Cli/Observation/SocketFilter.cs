// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text.RegularExpressions;
using Pronghorn.Wire;

namespace Pronghorn.Cli.Observation;

/// <summary>
/// The filter behind the options of <c>pronghorn ss</c>, in the language of ss(8): <c>state STATE</c> and <c>exclude STATE</c>
/// first, then conditions on <c>sport</c>, <c>dport</c>, <c>src</c> and <c>dst</c> joined by and, or, not and parentheses.
/// </summary>
internal sealed partial class SocketFilter
{
    private static readonly string[] s_comparisons = ["=", "==", "!=", "<", ">", "<=", ">=", "eq", "ne", "neq", "lt", "gt", "le", "ge"];

    private readonly string[] _words;
    private int _at;

    private SocketFilter(string[] words) => _words = words;

    /// <summary>Whether the filter names states; without it the options say which are shown.</summary>
    internal bool HasStates { get; private set; }

    private HashSet<string> States { get; } = new(SocketStates.All, StringComparer.Ordinal);

    private Predicate<SocketSnapshot> Condition { get; set; } = _ => true;

    /// <summary>Reads a filter from the words of a command line, which a shell may have split at blanks or not.</summary>
    /// <exception cref="CommandException">It is no filter; the message says where it goes wrong.</exception>
    internal static SocketFilter Parse(IEnumerable<string> words)
    {
        SocketFilter filter = new([.. words.SelectMany(word => Tokens().Matches(word).Select(match => match.Value))]);
        if (filter._words.FirstOrDefault(static word => word.StartsWith('-')) is { } option)
        {
            throw new CommandException(
                $"ss: there is no option '{option}'; pronghorn ss --help names those that there are", ExitStatus.Usage);
        }

        filter.ReadStates();
        if (filter._at < filter._words.Length)
        {
            filter.Condition = filter.ReadAlternatives();
        }

        return filter._at == filter._words.Length
            ? filter
            : throw Wrong($"'{filter._words[filter._at]}' is not expected here");
    }

    /// <summary>Whether a socket is wanted.</summary>
    internal bool Matches(SocketSnapshot socket) => States.Contains(socket.State) && Condition(socket);

    // Parentheses and comparisons may stand without blanks around them: "(sport=:80)".
    [GeneratedRegex(@"[()]|[=!<>]=?|[^\s()=!<>]+")]
    private static partial Regex Tokens();

    private static CommandException Wrong(string what) => new(
        $"ss: filter: {what}; write for example: state established, sport = :6379, dst 10.0.0.0/24 and not dport = :80",
        ExitStatus.Usage);

    private void ReadStates()
    {
        while (Peek() is "state" or "exclude")
        {
            bool include = Next() == "state";
            string name = _at < _words.Length ? Next() : throw Wrong("a state is missing at its end");
            IReadOnlyList<string> states = SocketStates.Named(name)
                ?? throw Wrong($"there is no state '{name}' (there are {string.Join(", ", SocketStates.Names)})");
            if (include && !HasStates)
            {
                States.Clear();
            }

            HasStates = true;
            if (include)
            {
                States.UnionWith(states);
            }
            else
            {
                States.ExceptWith(states);
            }
        }
    }

    private Predicate<SocketSnapshot> ReadAlternatives()
    {
        Predicate<SocketSnapshot> left = ReadConjunction();
        while (Peek() is "or" or "|" or "||")
        {
            Next();
            Predicate<SocketSnapshot> first = left;
            Predicate<SocketSnapshot> second = ReadConjunction();
            left = socket => first(socket) || second(socket);
        }

        return left;
    }

    private Predicate<SocketSnapshot> ReadConjunction()
    {
        Predicate<SocketSnapshot> left = ReadTerm();
        while (_at < _words.Length && Peek() is not ("or" or "|" or "||" or ")"))
        {
            // As in ss(8), conditions that follow each other are joined by "and".
            if (Peek() is "and" or "&" or "&&")
            {
                Next();
            }

            Predicate<SocketSnapshot> first = left;
            Predicate<SocketSnapshot> second = ReadTerm();
            left = socket => first(socket) && second(socket);
        }

        return left;
    }

    private Predicate<SocketSnapshot> ReadTerm()
    {
        string word = _at < _words.Length ? Next() : throw Wrong("a condition is missing at its end");
        switch (word)
        {
            case "not" or "!":
                Predicate<SocketSnapshot> inner = ReadTerm();
                return socket => !inner(socket);
            case "(":
                Predicate<SocketSnapshot> group = ReadAlternatives();
                return _at < _words.Length && Next() == ")" ? group : throw Wrong("')' is missing");
            case "sport":
                return ReadPort(socket => socket.Local);
            case "dport":
                return ReadPort(socket => socket.Peer);
            case "src":
                return ReadHost(socket => socket.Local);
            case "dst":
                return ReadHost(socket => socket.Peer);
            default:
                throw Wrong($"'{word}' is none of sport, dport, src, dst, not, '('");
        }
    }

    private Predicate<SocketSnapshot> ReadPort(Func<SocketSnapshot, string> end)
    {
        string comparison = s_comparisons.Contains(Peek()) ? Next() : "=";
        string word = _at < _words.Length ? Next() : throw Wrong("a port is missing at its end");
        if (!ushort.TryParse(word.TrimStart(':'), NumberStyles.None, CultureInfo.InvariantCulture, out ushort wanted))
        {
            throw Wrong($"'{word}' is no port from 0 to 65535, such as :6379");
        }

        // The peer of a listener has no port, which compares as 0.
        return socket => Compare(comparison, PortOf(end(socket)), wanted);
    }

    private Predicate<SocketSnapshot> ReadHost(Func<SocketSnapshot, string> end)
    {
        string comparison = s_comparisons.Contains(Peek()) ? Next() : "=";
        string word = _at < _words.Length ? Next() : throw Wrong("an address is missing at its end");
        int colon = word.LastIndexOf(':');
        string host = colon < 0 ? word : word[..colon];
        string port = colon < 0 ? "*" : word[(colon + 1)..];
        bool isAnyPort = port is "*" or "";
        ushort wantedPort = 0;
        if (comparison is not ("=" or "==" or "eq" or "!=" or "ne" or "neq")
            || (!isAnyPort && !ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out wantedPort))
            || !AddressPrefix.TryParse(host, out AddressPrefix prefix))
        {
            throw Wrong($"'{word}' is no IPv4 address, ADDRESS/LENGTH or ADDRESS:PORT");
        }

        bool wanted = comparison is "=" or "==" or "eq";
        return socket =>
        {
            string text = end(socket);
            bool equal = prefix.Contains(text[..text.LastIndexOf(':')]) && (isAnyPort || PortOf(text) == wantedPort);
            return equal == wanted;
        };
    }

    private static bool Compare(string comparison, int left, int right) => comparison switch
    {
        "=" or "==" or "eq" => left == right,
        "!=" or "ne" or "neq" => left != right,
        "<" or "lt" => left < right,
        ">" or "gt" => left > right,
        "<=" or "le" => left <= right,
        _ => left >= right,
    };

    private static int PortOf(string end) =>
        int.TryParse(end[(end.LastIndexOf(':') + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int port) ? port : 0;

    private string? Peek() => _at < _words.Length ? _words[_at] : null;

    private string Next() => _words[_at++];

    /// <summary>An IPv4 network, or any address at all.</summary>
    private readonly record struct AddressPrefix(uint Network, uint Mask)
    {
        internal static bool TryParse(string text, out AddressPrefix prefix)
        {
            prefix = default;
            if (text is "*" or "")
            {
                return true;
            }

            string[] parts = text.Split('/');
            int length = 32;
            if (parts.Length > 2 || !IpAddress.TryParse(parts[0], out IpAddress address) || !address.IsIpv4
                || (parts.Length == 2
                    && !(int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out length) && length <= 32)))
            {
                return false;
            }

            uint mask = length == 0 ? 0 : uint.MaxValue << (32 - length);
            prefix = new AddressPrefix(address.ToIpv4() & mask, mask);
            return true;
        }

        internal bool Contains(string text) =>
            Mask == 0 || (IpAddress.TryParse(text, out IpAddress address) && (address.ToIpv4() & Mask) == Network);
    }
}
