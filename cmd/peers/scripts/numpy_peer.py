"""Matrix products by the BLAS of numpy, which is OpenBLAS in its wheels."""

import protocol

numpy, threadpoolctl = protocol.packages("numpy", "threadpoolctl")

blas = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"]
threadpoolctl.threadpool_limits(1)
name = ", ".join(f"{b['internal_api']} {b.get('version')} {b.get('architecture')}" for b in blas) or "no known BLAS"
operands = {}


def gemm(m, n, k, times):
    if (m, n, k) not in operands:
        random = numpy.random.default_rng(0)
        operands[m, n, k] = [random.standard_normal(s, numpy.float32) for s in ((m, k), (k, n), (m, n))]
    a, b, c = operands[m, n, k]
    return protocol.timed(lambda: numpy.matmul(a, b, out=c), times)


protocol.free_cores()
protocol.reply(ready=True, threads=1, versions=protocol.versions("numpy"), blas=name, note="")
protocol.serve(gemm=gemm)
