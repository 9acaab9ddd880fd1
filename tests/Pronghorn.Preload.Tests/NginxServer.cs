// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Preload.Tests;

/// <summary>nginx in one process, in the foreground or as a daemon.</summary>
internal sealed class NginxServer : IDisposable
{
    private readonly string _directory;
    private readonly RunningProgram _starter;
    private int _id;

    private NginxServer(string directory, string port, RunningProgram starter)
    {
        _directory = directory;
        Port = port;
        _starter = starter;
        _id = starter.Process.Id;
    }

    public string Port { get; }

    public static NginxServer Start(HostsFixture fixture, string root, string sendfile, string daemon, bool onStack)
    {
        string port = fixture.TakePorts().ToString(CultureInfo.InvariantCulture);
        string directory = Directory.CreateDirectory(Path.Combine(root, "nginx")).FullName;
        string configuration = Path.Combine(directory, "nginx.conf");
        File.WriteAllText(
            configuration,
            $$"""
            daemon {{daemon}};
            master_process off;
            pid {{directory}}/nginx.pid;
            error_log {{directory}}/error.log info;
            events { worker_connections 1024; }
            http {
                access_log off;
                sendfile {{sendfile}};
                tcp_nopush {{sendfile}};
                keepalive_requests 1000000;
                client_body_temp_path {{directory}}/a; proxy_temp_path {{directory}}/b; fastcgi_temp_path {{directory}}/c;
                uwsgi_temp_path {{directory}}/d; scgi_temp_path {{directory}}/e;
                server { listen {{port}}; root {{root}}; }
            }
            """);
        RunningProgram starter = RunningProgram.Start(
            fixture.Hosts.Server, onStack ? PreloadLibrary.Environment() : null, "nginx", "-c", configuration);
        var server = new NginxServer(directory, port, starter);
        if (daemon == "on")
        {
            Assert.Equal(0, starter.WaitForEnd().ExitCode);
            server._id = int.Parse(File.ReadAllText(Path.Combine(directory, "nginx.pid")), CultureInfo.InvariantCulture);
        }
        else
        {
            RealProgramTests.WaitForPort(starter, port);
        }

        return server;
    }

    public string Log() => _starter.Error + File.ReadAllText(Path.Combine(_directory, "error.log"));

    /// <summary>Whether the process holds an AF_XDP socket tells on which path its connections were.</summary>
    public void ExpectPath(bool onStack) => Assert.Equal(
        onStack, File.ReadAllText($"/proc/{_id}/maps").Contains("libpronghorn-core", StringComparison.Ordinal));

    public void Dispose()
    {
        if (_id != _starter.Process.Id)
        {
            using var daemon = Process.GetProcessById(_id);
            daemon.Kill();
            daemon.WaitForExit(10_000);
        }

        _starter.Dispose();
    }
}
