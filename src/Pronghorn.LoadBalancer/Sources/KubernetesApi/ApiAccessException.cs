// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>A kubeconfig or a service account cannot be used.</summary>
public sealed class ApiAccessException : Exception
{
    /// <summary>Makes one.</summary>
    public ApiAccessException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
