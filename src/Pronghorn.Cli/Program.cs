// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Cli;

internal static class Program
{
    private static int Main(string[] args)
    {
        System.CommandLine.RootCommand root = new("x");
        return root.Parse(args).Invoke();
    }
}
