// SPDX-License-Identifier: Apache-2.0
using Xunit;

// Each test drives a network of its own; two at a time would only measure each other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
