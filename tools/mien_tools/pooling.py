"""What the records of max and average pooling share."""

from mien_tools.layer import Call, Layer, LayerError, Option, Pair, cpp_pair, pair_of, slide


class Pooling2d(Layer):
    """One value for every place of a sliding window; the output size is rounded down."""

    options = (
        Option("kernel_height"),
        Option("kernel_width"),
        Option("stride_y", "kernel_height"),
        Option("stride_x", "kernel_width"),
        Option("padding_y", 0, least=0),
        Option("padding_x", 0, least=0),
    )

    def check(self, options):
        for padding, kernel in zip(
            pair_of(options, "padding"), pair_of(options, "kernel"), strict=True
        ):
            if 2 * padding > kernel:
                raise LayerError(
                    f"option padding: expected at most half the kernel of {kernel}, found {padding}"
                )

    def output_shape(self, options, inputs):
        return (inputs[0][0], *slide(options, inputs[0]))

    def cpp(self, options):
        kernel = pair_of(options, "kernel")
        arguments = [cpp_pair("Kernel", kernel)]
        if pair_of(options, "stride") != kernel:
            arguments.append(cpp_pair("Stride", pair_of(options, "stride")))
        if pair_of(options, "padding") != (0, 0):
            arguments.append(cpp_pair("Padding", pair_of(options, "padding")))
        return f"{self.kind}<{', '.join(arguments)}>"


def pooling_stride(call: Call, stride: int | tuple[int, ...] | None, kernel: Pair) -> Pair:
    # Functional forms take an empty list for "as the kernel", too.
    return kernel if stride is None or stride in ((), []) else call.pair("stride", stride)
