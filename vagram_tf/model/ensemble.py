"""The probabilistic ensemble: E independent networks, computed together."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from vagram_tf import keras_version
from vagram_tf.types import Prediction, Transition

keras_version.check()

# The bounds of the log-variance start here, as in PETS.
_MIN_LOG_VARIANCE, _MAX_LOG_VARIANCE = -10.0, 0.5


Activation = Callable[[tf.Tensor], tf.Tensor]


def plain_swish(x: tf.Tensor) -> tf.Tensor:
    """Returns x · sigmoid(x), as `tf.nn.swish` does, whose gradient a SavedModel loses."""
    return x * tf.sigmoid(x)


class EnsembleDense(tf.keras.layers.Layer):
    """The weights of E dense layers side by side, member e with its own kernel and bias.

    Initialised as in MBPO: normal, truncated at two standard deviations of 1 / (2 √in); biases at
      zero.
    """

    def __init__(self, members: int, inputs: int, units: int, name: str):
        super().__init__(name=name)
        initializer = tf.keras.initializers.TruncatedNormal(stddev=0.5 / inputs**0.5)
        self.kernel = self.add_weight("kernel", [members, inputs, units], initializer=initializer)
        self.bias = self.add_weight("bias", [members, 1, units], initializer="zeros")

    def read(self, members: tf.Tensor | None) -> "Dense":
        """Returns the layer as it is now, of all members or of those of the indices `[M]`."""
        kernel, bias = tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(self.bias)
        if members is not None:
            kernel, bias = tf.gather(kernel, members), tf.gather(bias, members)
        return Dense(kernel, bias)


class Dense(NamedTuple):
    """A layer of M members: kernel `[M, in, units]`, bias `[M, 1, units]`."""

    kernel: tf.Tensor
    bias: tf.Tensor

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        """`[M, B, in]` to `[M, B, units]`."""
        return tf.matmul(inputs, self.kernel) + self.bias


class Network(NamedTuple):
    """The numbers that a prediction is a function of, read from their variables once: loops over
    them can be differentiated after an export, loops over variables cannot.
    """

    trunk: tuple[Dense, ...]
    mean_head: Dense
    log_variance_head: Dense
    min_log_variance: tf.Tensor
    max_log_variance: tf.Tensor
    input_mean: tf.Tensor
    input_stddev: tf.Tensor
    target_mean: tf.Tensor
    target_stddev: tf.Tensor


class DynamicsEnsemble(tf.keras.Model):
    """Predicts next observation and reward: normalised inputs and targets, one Gaussian per member.

    Heads predict targets less their mean, in units of their standard deviation, so that a step of
    the optimizer, the initial weights and weight decay mean the same for a dimension that moves by
    0.01 and for one that moves by 10. Every trainable variable has the member axis first, so
    members share nothing and can be stored one by one.

    Args:
      observation_size: D.
      action_size: A.
      members: E.
      elites: how many members rollouts and exports use, those best on the holdout.
      hidden_units: of each hidden layer of a member.
      variance_bounds: of the log-variance. `relative` to the variance of the targets and learned,
        so that they mean the same for a dimension that moves by 0.01 per step and for one that
        moves by 10; `absolute` and learned, as in PETS and MBPO; `fixed`, absolute and not learned,
        as in VaGraM's code.
      target: the state's targets are its `change`, or the next `state` itself.
      activation: of the hidden layers.
    """

    def __init__(
        self,
        observation_size: int,
        action_size: int,
        members: int,
        elites: int,
        hidden_units: tuple[int, ...],
        variance_bounds: str = "relative",
        target: str = "change",
        activation: Activation = tf.nn.swish,
    ):
        super().__init__(name="dynamics_ensemble")
        self.members, self._variance_bounds, self._target = members, variance_bounds, target
        self.observation_size, self.action_size = observation_size, action_size
        self._activation = activation
        inputs, outputs = observation_size + action_size, observation_size + 1
        self._trunk = [
            EnsembleDense(members, before, units, f"hidden_{i}")
            for i, (before, units) in enumerate(itertools.pairwise((inputs, *hidden_units)))
        ]
        self._mean_head = EnsembleDense(members, hidden_units[-1], outputs, "mean")
        self._log_variance_head = EnsembleDense(members, hidden_units[-1], outputs, "log_variance")
        bound = [members, 1, outputs]
        self._min_log_variance, self._max_log_variance = (
            self.add_weight(
                name,
                bound,
                initializer=tf.keras.initializers.Constant(value),
                trainable=variance_bounds != "fixed",
            )
            for name, value in (
                ("min_log_variance", _MIN_LOG_VARIANCE),
                ("max_log_variance", _MAX_LOG_VARIANCE),
            )
        )
        self._input_mean = self.add_weight(
            "input_mean", [inputs], initializer="zeros", trainable=False
        )
        self._input_stddev = self.add_weight(
            "input_stddev", [inputs], initializer="ones", trainable=False
        )
        self._target_mean = self.add_weight(
            "target_mean", [outputs], initializer="zeros", trainable=False
        )
        self._target_stddev = self.add_weight(
            "target_stddev", [outputs], initializer="ones", trainable=False
        )
        self._normalized = self.add_weight(
            "normalized", [], tf.bool, initializer="zeros", trainable=False
        )
        self.elites = tf.Variable(tf.range(elites), trainable=False, name="elites")
        # Keras lists the weights of a model that has been called.
        self(tf.zeros([members, 1, observation_size]), tf.zeros([members, 1, action_size]))

    @property
    def kernels(self) -> list[tf.Variable]:
        """The kernels, which weight decay applies to."""
        return [layer.kernel for layer in (*self._trunk, self._mean_head, self._log_variance_head)]

    @property
    def mean_variables(self) -> list[tf.Variable]:
        """What the means depend on: all trainable variables but those of the variance read-out."""
        read_out = {
            v.ref()
            for v in (
                *self._log_variance_head.trainable_variables,
                self._min_log_variance,
                self._max_log_variance,
            )
        }
        return [variable for variable in self.trainable_variables if variable.ref() not in read_out]

    def fit_normalizer(self, data: Transition) -> None:
        """Takes mean and standard deviation of inputs and targets from data `[N]`, summed in
        float64.

        Dimensions that do not vary get a standard deviation of 1, so that nothing is divided by
        zero. After the first fit, the first layer and the head of the means are rescaled with their
        units, so that the means stay what they were (van Hasselt et al. 2016, Pop-Art).
        Log-variances keep their relation to the targets' spread.
        """
        mean, stddev = moments(data.observation, data.action)
        if self._normalized:
            kernel, bias = self._trunk[0].kernel, self._trunk[0].bias
            shift = (mean - self._input_mean) / self._input_stddev
            bias.assign_add(tf.reduce_sum(shift[:, tf.newaxis] * kernel, axis=1, keepdims=True))
            kernel.assign(kernel * (stddev / self._input_stddev)[:, tf.newaxis])
        self._input_mean.assign(mean)
        self._input_stddev.assign(stddev)
        before = data.observation if self._target == "change" else 0.0
        mean, stddev = moments(data.next_observation - before, data.reward[:, tf.newaxis])
        if self._normalized:
            kernel, bias = self._mean_head.kernel, self._mean_head.bias
            kernel.assign(kernel * (self._target_stddev / stddev))
            bias.assign((bias * self._target_stddev + (self._target_mean - mean)) / stddev)
        self._target_mean.assign(mean)
        self._target_stddev.assign(stddev)
        self._normalized.assign(True)

    def call(
        self,
        observation: tf.Tensor,
        action: tf.Tensor,
        members: tf.Tensor | None = None,
        detach_variance: bool = False,
    ) -> Prediction:
        """Predicts, each member from its own inputs.

        Args:
          observation: `[E, B, D]`, or `[M, B, D]` with `members`.
          action: `[E, B, A]` in [-1, 1], or `[M, B, A]`.
          members: `[M]` indices of the members to use; all by default.
          detach_variance: let the log-variance head read the features without sending a gradient
            into them.

        Returns:
          A `Prediction` with the same leading axes.
        """
        return self.predict(self.network(members), observation, action, detach_variance)

    def network(self, members: tf.Tensor | None = None) -> Network:
        """Returns the weights as they are now, of all members or of those of the indices `[M]`."""
        bounds = (
            tf.convert_to_tensor(bound) if members is None else tf.gather(bound, members)
            for bound in (self._min_log_variance, self._max_log_variance)
        )
        units = (self._input_mean, self._input_stddev, self._target_mean, self._target_stddev)
        return Network(
            tuple(layer.read(members) for layer in self._trunk),
            self._mean_head.read(members),
            self._log_variance_head.read(members),
            *bounds,
            *map(tf.convert_to_tensor, units),
        )

    def predict(
        self,
        network: Network,
        observation: tf.Tensor,
        action: tf.Tensor,
        detach_variance: bool = False,
    ) -> Prediction:
        """Predicts as a call does, with weights that have been read before: no variable is read
        here.
        """
        inputs = tf.concat([observation, action], axis=-1)
        features = (inputs - network.input_mean) / network.input_stddev
        for layer in network.trunk:
            features = self._activation(layer(features))
        mean = network.mean_head(features) * network.target_stddev + network.target_mean
        raw = network.log_variance_head(tf.stop_gradient(features) if detach_variance else features)
        log_variance = self._bound(raw, network)
        sizes = [self.observation_size, 1]
        state, reward = tf.split(mean, sizes, axis=-1)
        state_log_variance, reward_log_variance = tf.split(log_variance, sizes, axis=-1)
        return Prediction(
            next_observation=observation + state if self._target == "change" else state,
            reward=reward[..., 0],
            next_observation_log_variance=state_log_variance,
            reward_log_variance=reward_log_variance[..., 0],
        )

    def only_elites(self) -> "DynamicsEnsemble":
        """Returns an ensemble of the elites alone, best first, with copies of their weights, that
        can be differentiated after an export.
        """
        elites = self.alike(self.elites.shape[0], plain_swish)
        elites.copy(self, self.elites)
        return elites

    def alike(self, members: int, activation: Activation | None = None) -> "DynamicsEnsemble":
        """Returns a new ensemble that differs in how many members it has, all of them elites."""
        return DynamicsEnsemble(
            self.observation_size,
            self.action_size,
            members,
            members,
            tuple(layer.kernel.shape[-1] for layer in self._trunk),
            self._variance_bounds,
            self._target,
            activation or self._activation,
        )

    def copy(self, other: "DynamicsEnsemble", members: tf.Tensor) -> None:
        """Takes over the weights of another one's members, of indices `[E]`, and its units."""
        for own, of_all in zip(self.trainable_variables, other.trainable_variables, strict=True):
            own.assign(tf.gather(of_all, members))
        for name in (
            "_input_mean",
            "_input_stddev",
            "_target_mean",
            "_target_stddev",
            "_normalized",
        ):
            getattr(self, name).assign(getattr(other, name))

    def bound_width(self) -> tf.Tensor:
        """Returns `[E]`, the summed width of the log-variance bounds, which PETS penalises to keep
        them tight.
        """
        return tf.reduce_sum(self._max_log_variance - self._min_log_variance, axis=[1, 2])

    def _bound(self, raw: tf.Tensor, network: Network) -> tf.Tensor:
        """Keeps log-variances between their bounds as PETS does, with one sigmoid and one
        logarithm.

        PETS applies `x = high - softplus(high - raw)` and then `low + softplus(x - low)`. With `eˣ`
        and `softplus(z) = log(1 + eᶻ)` the first is `eˣ = e^high sigmoid(raw - high)`, the second
        `log(e^low + eˣ)`.
        """
        low, high = network.min_log_variance, network.max_log_variance
        bounded = tf.math.log(tf.exp(low) + tf.exp(high) * tf.sigmoid(raw - high))
        return (
            bounded + 2.0 * tf.math.log(network.target_stddev)
            if self._variance_bounds == "relative"
            else bounded
        )


def moments(*columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns mean and standard deviation over the first axis, 1 for what does not vary."""
    values = tf.cast(tf.concat(columns, axis=-1), tf.float64)
    mean, variance = tf.nn.moments(values, axes=[0])
    stddev = tf.sqrt(variance)
    constant = stddev <= 1e-6 * tf.maximum(tf.abs(mean), 1.0)
    return tf.cast(mean, tf.float32), tf.cast(
        tf.where(constant, tf.ones_like(stddev), stddev), tf.float32
    )
