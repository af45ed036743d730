"""LogSoftmax."""

from mien_tools.layer import Case, Layer


class LogSoftmax(Layer):
    kind = "LogSoftmax"
    plain_name = "the logarithm of softmax"
    summary = "the logarithm of softmax over the channels"
    onnx = "LogSoftmax"
    cpp_names = ("LogSoftmax",)

    def operators(self):
        return {"LogSoftmax": lambda node: node.make(self, {})}

    def reference(self, options, inputs, tensors):
        return inputs[0].log_softmax(dim=1)

    def cases(self):
        return [Case({}, (7,)), Case({}, (5, 2, 3))]


RECORD = LogSoftmax()
