// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Pronghorn.Benchmarks;

// Small numbers by default: enough to see an order of magnitude, and to keep the code from rotting. Pass a count for more.
long requests = args.Length > 0 ? long.Parse(args[0], CultureInfo.InvariantCulture) : 200_000;
RoundTrips.Run(1, requests);
RoundTrips.Run(50, requests);
RoundTrips.Run(1000, requests);
