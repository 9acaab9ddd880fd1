// SPDX-License-Identifier: Apache-2.0
using System;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Pronghorn.Web;

/// <summary>A small web server that takes nothing from the environment.</summary>
public sealed class WebListener : IAsyncDisposable
{
    private readonly WebApplication _application;

    private WebListener(WebApplication application) => _application = application;

    /// <summary>Starts one.</summary>
    /// <param name="listen">Says where it listens, and within which limits.</param>
    /// <param name="answer">Answers a request.</param>
    /// <param name="complain">Is told, while it runs, what the server has to complain of.</param>
    /// <exception cref="System.IO.IOException">It cannot bind to where it shall listen.</exception>
    public static async Task<WebListener> StartAsync(
        Action<KestrelServerOptions> listen, RequestDelegate answer, Action<string> complain)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        var logging = new ComplaintLogging(complain);
        builder.Logging.AddProvider(logging);
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(1));
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options =>
        {
            options.AddServerHeader = false;
            listen(options);
        });
        WebApplication application = builder.Build();
        application.Run(answer);
        try
        {
            // What fails while it starts is thrown, and need not be told twice.
            await application.StartAsync();
            logging.IsOn = true;
        }
        catch
        {
            await application.DisposeAsync();
            throw;
        }

        return new WebListener(application);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _application.DisposeAsync();

    /// <summary>Passes on what the server has to complain of.</summary>
    private sealed class ComplaintLogging(Action<string> complain) : ILoggerProvider, ILogger
    {
        public volatile bool IsOn;

        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => IsOn && logLevel >= LogLevel.Error;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                complain(exception is null ? formatter(state, null) : exception.Message);
            }
        }
    }
}
