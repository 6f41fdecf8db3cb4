"""Soft actor-critic: networks, and a `SacAgent` whose every random number comes from one
generator.
"""

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.agents.sac import sac_agent
from tf_agents.distributions import utils as distribution_utils
from tf_agents.networks import network
from tf_agents.specs import distribution_spec, tensor_spec
from tf_agents.trajectories import policy_step, trajectory
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import common

from vagram_tf import keras_version
from vagram_tf.compiler import compiled
from vagram_tf.config import AgentConfig
from vagram_tf.types import Transition, ValueFunction

keras_version.check()

TRAIN_METRICS = (
    "critic_loss",
    "actor_loss",
    "ent_coef_loss",
    "ent_coef",
    "q_mean",
    "q_max",
    "weight_sum",
)
"""What `SoftActorCritic.train` returns: losses, temperature, Q's mean and largest size, and the sum
over all weights, which is finite only if they all are."""

VALUE_FUNCTIONS = {"critics": slice(0, 2), "targets": slice(2, 4), "all": slice(None)}
"""Which of the value functions, also of an export's, a setting names."""

_LOG_STDDEV_RANGE = (-20.0, 2.0)  # Haarnoja et al. 2018, as in MBPO


class _Torso(tf.keras.layers.Layer):
    """The hidden layers.

    Args:
      hidden_units: of each.
      unit_norm: the last one's output has unit norm, as in VaGraM's agents.
      layer_normalization: each is normalised over its units, before its activation (Ball et al.
        2023, RLPD): Q is then bounded by its last layer's weights wherever the observation lies.
    """

    def __init__(
        self, hidden_units: tuple[int, ...], unit_norm: bool, layer_normalization: bool = False
    ):
        super().__init__(name="torso")
        self._layers = [tf.keras.layers.Dense(units) for units in hidden_units]
        self._norms = (
            [tf.keras.layers.LayerNormalization() for _ in hidden_units]
            if layer_normalization
            else []
        )
        self._unit_norm = unit_norm

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        features = inputs
        for i, layer in enumerate(self._layers):
            features = layer(features)
            features = tf.nn.relu(self._norms[i](features) if self._norms else features)
        return tf.math.l2_normalize(features, axis=-1) if self._unit_norm else features


class CriticNetwork(network.Network):
    """Q(s, a): `([B, D], [B, A]) -> [B]`, in discounted reward units."""

    def __init__(self, input_tensor_spec: Any, config: AgentConfig, name: str):
        super().__init__(input_tensor_spec, state_spec=(), name=name)
        self._torso = _Torso(
            config.agent_hidden_units, config.feature_normalization, config.layer_normalization
        )
        self._head = tf.keras.layers.Dense(1, name="value")

    def call(
        self, inputs: Any, step_type: Any = (), network_state: Any = (), training: bool = False
    ) -> Any:
        observation, action = inputs
        features = self._torso(tf.concat([observation, action], axis=-1))
        return self._head(features)[..., 0], network_state


class ActorNetwork(network.DistributionNetwork):
    """π(a | s): `[B, D] ->` a Gaussian squashed by tanh, over actions in [-1, 1]."""

    def __init__(self, observation_spec: Any, action_spec: Any, config: AgentConfig):
        parameters = {
            "loc": tf.TensorSpec(action_spec.shape, tf.float32, "loc"),
            "scale_diag": tf.TensorSpec(action_spec.shape, tf.float32, "scale_diag"),
        }

        def build(**kwargs: tf.Tensor) -> tfp.distributions.Distribution:
            gaussian = tfp.distributions.MultivariateNormalDiag(**kwargs)
            return distribution_utils.SquashToSpecNormal(gaussian, action_spec)

        spec = distribution_spec.DistributionSpec(build, parameters, sample_spec=action_spec)
        super().__init__(observation_spec, state_spec=(), output_spec=spec, name="actor")
        self._torso = _Torso(config.agent_hidden_units, config.feature_normalization)
        self._head = tf.keras.layers.Dense(2 * action_spec.shape[0], name="mean_and_log_stddev")

    def call(
        self, observation: Any, step_type: Any = (), network_state: Any = (), training: bool = False
    ) -> Any:
        mean, log_stddev = self._parameters(observation)
        stddev = tf.exp(tf.clip_by_value(log_stddev, *_LOG_STDDEV_RANGE))
        return self.output_spec.build_distribution(loc=mean, scale_diag=stddev), network_state

    def mode(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns tanh of the Gaussian's mean, `[B, A]`, in operations that converters know."""
        return tf.tanh(self._parameters(observation)[0])

    def _parameters(self, observation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        mean, log_stddev = tf.split(self._head(self._torso(observation)), 2, axis=-1)
        return mean, log_stddev


class SeededSacAgent(sac_agent.SacAgent):
    """TF-Agents' SAC with two changes.

    Actions are sampled from a generator that a checkpoint can hold; TF-Agents samples without a
    seed. And the temperature's loss takes the log probabilities that the actor's loss has just
    computed, as the authors of SAC do, instead of running the actor once more.
    """

    def __init__(self, *args: Any, generator: tf.random.Generator, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._generator = generator
        self._actor_log_probs: tf.Tensor | None = None

    def _actions_and_log_probs(
        self, time_steps: ts.TimeStep, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        distribution = self._train_policy.distribution(time_steps, policy_state=()).action
        actions = distribution.sample(seed=new_seed(self._generator))
        log_probs = common.log_probability(distribution, actions, self.action_spec)
        if training:  # the actor's loss; the critics' is the other caller
            self._actor_log_probs = log_probs
        return actions, log_probs

    def alpha_loss(
        self, time_steps: ts.TimeStep, weights: Any = None, training: bool = False
    ) -> tf.Tensor:
        """Haarnoja et al. 2018, "Algorithms and Applications", eq. 18, in log α."""
        return -self._log_alpha * tf.reduce_mean(
            tf.stop_gradient(self._actor_log_probs) + self._target_entropy
        )


def new_seed(generator: tf.random.Generator) -> tf.Tensor:
    """Returns a stateless seed `[2]` drawn from the generator, of the type that TensorFlow
    Probability takes.
    """
    return tf.cast(generator.make_seeds(1)[:, 0], tf.int32)


class SoftActorCritic(tf.Module):
    """What the rest of the package sees of the agent: act, learn, and say what states are worth.

    Args:
      observation_size: D.
      action_size: A.
      config: networks, learning rates and so on.
      seed: of the generator behind every sampled action.
    """

    def __init__(self, observation_size: int, action_size: int, config: AgentConfig, seed: int):
        super().__init__(name="soft_actor_critic")
        observation_spec = tf.TensorSpec([observation_size], tf.float32, "observation")
        action_spec = tensor_spec.BoundedTensorSpec([action_size], tf.float32, -1.0, 1.0, "action")
        critic_spec = (observation_spec, action_spec)
        self._generator = tf.random.Generator.from_seed(seed, alg="philox")
        self._observation_mean = tf.Variable(
            tf.zeros([observation_size]), trainable=False, name="observation_mean"
        )
        self._observation_stddev = tf.Variable(
            tf.ones([observation_size]), trainable=False, name="observation_stddev"
        )
        self._actor = ActorNetwork(observation_spec, action_spec, config)
        self._critics = [
            CriticNetwork(critic_spec, config, name)
            for name in ("critic_1", "critic_2", "target_critic_1", "target_critic_2")
        ]
        optimizers = {
            name: tf.keras.optimizers.legacy.Adam(rate, epsilon=1e-8)
            for name, rate in (
                ("actor_optimizer", config.actor_learning_rate),
                ("critic_optimizer", config.critic_learning_rate),
                ("alpha_optimizer", config.temperature_learning_rate),
            )
        }
        self.agent = SeededSacAgent(
            ts.time_step_spec(observation_spec),
            action_spec,
            critic_network=self._critics[0],
            critic_network_2=self._critics[1],
            target_critic_network=self._critics[2],
            target_critic_network_2=self._critics[3],
            actor_network=self._actor,
            **optimizers,
            target_update_tau=config.target_update_rate,
            target_update_period=config.target_update_period,
            gamma=config.discount,
            initial_log_alpha=float(tf.math.log(config.initial_temperature)),
            target_entropy=-0.5 * action_size
            if config.target_entropy is None
            else config.target_entropy,
            train_step_counter=tf.Variable(0, dtype=tf.int64),
            generator=self._generator,
        )
        self.agent.initialize()
        # Created here and not in the first update, so that a checkpoint finds them.
        optimizers["actor_optimizer"]._create_all_weights(self._actor.trainable_variables)
        optimizers["critic_optimizer"]._create_all_weights(
            self._critics[0].trainable_variables + self._critics[1].trainable_variables
        )
        optimizers["alpha_optimizer"]._create_all_weights([self.agent._log_alpha])

    @property
    def value_functions(self) -> list[ValueFunction]:
        """V of both critics and both target critics, `[B, D] -> [B]`: Q at the policy's mode.

        No gradient runs through the action: `V_c(s) = Q_c(s, stop_gradient(mode of π(s)))`.
        """

        def value_of(critic: CriticNetwork) -> ValueFunction:
            def value(observation: tf.Tensor) -> tf.Tensor:
                action = tf.stop_gradient(self.mode(tf.stop_gradient(observation)))
                return critic((self._normalize(observation), action))[0]

            return value

        return [value_of(critic) for critic in self._critics]

    def values_of(self, which: str) -> list[ValueFunction]:
        """Returns the value functions of the `critics`, of the `targets`, or of `all`."""
        return self.value_functions[VALUE_FUNCTIONS[which]]

    @property
    def normalizer_variables(self) -> list[tf.Variable]:
        """Mean and standard deviation `[D]` of observations, by which all networks see them: 0 and
        1 at first.
        """
        return [self._observation_mean, self._observation_stddev]

    @property
    def actor_variables(self) -> list[tf.Variable]:
        return list(self._actor.variables)

    @property
    def critic_variables(self) -> list[tf.Variable]:
        """Variables of both critics and both targets."""
        return [variable for critic in self._critics for variable in critic.variables]

    @property
    def network_variables(self) -> list[tf.Variable]:
        """All that actions and values depend on: normalisation, actor, both critics and both
        targets.
        """
        return self.normalizer_variables + self.actor_variables + self.critic_variables

    def normalize_by(self, mean: tf.Tensor, stddev: tf.Tensor) -> None:
        """Lets the networks see observations less the mean `[D]`, in units of the standard
        deviation `[D]`.

        What they have learned before is worth nothing afterwards. Observations that are passed in,
        and derivatives of values, stay in raw units.
        """
        self._observation_mean.assign(mean)
        self._observation_stddev.assign(stddev)

    def _normalize(self, observation: tf.Tensor) -> tf.Tensor:
        return (observation - self._observation_mean) / self._observation_stddev

    def mode(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns the greedy action `[B, A]`: tanh of the Gaussian's mean."""
        return self._actor.mode(self._normalize(observation))

    def sample(self, observation: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns an action `[B, A]` drawn with the stateless seed `[2]`."""
        return self._actor(self._normalize(observation))[0].sample(seed=seed)

    def explore(self, observation: tf.Tensor) -> tf.Tensor:
        """Returns an action `[B, A]` drawn with the next random numbers of the agent's
        generator.
        """
        return self.sample(observation, new_seed(self._generator))

    @tf.function(reduce_retracing=True, autograph=False)
    def act(self, observation: tf.Tensor) -> tf.Tensor:
        """`explore`, as one graph: for the step in the real environment."""
        return self.explore(observation)

    @tf.function(reduce_retracing=True, autograph=False)
    def act_greedily(self, observation: tf.Tensor) -> tf.Tensor:
        """`mode`, as one graph: for evaluation."""
        return self.mode(observation)

    # AutoGraph would rewrite all of TF-Agents, which takes five times as long as compiling the
    # result.
    @compiled
    def train(self, batch: Transition) -> tf.Tensor:
        """Takes n updates, one per `[B]` of the batch `[n, B]`, in one compiled call.

        Returns:
          `[len(TRAIN_METRICS)]` float32, in that order: losses are means over the updates, Q is of
          the last batch.
        """
        updates = batch.reward.shape[0]
        batch = batch._replace(
            observation=self._normalize(batch.observation),
            next_observation=self._normalize(batch.next_observation),
        )

        def update(i: tf.Tensor, totals: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            experience = _experience(Transition(*(field[i] for field in batch)))
            # Where a default writer is set, TF-Agents would write, and XLA cannot.
            with tf.summary.record_if(False):
                info = self.agent._train(experience, weights=None).extra
            return i + 1, totals + tf.stack([info.critic_loss, info.actor_loss, info.alpha_loss])

        _, totals = tf.while_loop(lambda i, _: i < updates, update, [tf.constant(0), tf.zeros([3])])
        q = tf.stack(
            [critic((batch.observation[-1], batch.action[-1]))[0] for critic in self._critics[:2]]
        )
        weight_sum = tf.add_n(
            [tf.reduce_sum(v) for v in self.actor_variables + self.critic_variables]
        )
        return tf.concat(
            [
                totals / updates,
                [
                    tf.exp(self.agent._log_alpha),
                    tf.reduce_mean(q),
                    tf.reduce_max(tf.abs(q)),
                    weight_sum,
                ],
            ],
            axis=0,
        )


def _experience(batch: Transition) -> trajectory.Transition:
    """Puts a batch `[B]` into TF-Agents' terms."""
    count = batch.reward.shape[0]
    step_type, zeros = tf.fill([count], ts.StepType.MID), tf.zeros([count])
    return trajectory.Transition(
        time_step=ts.TimeStep(step_type, zeros, tf.ones([count]), batch.observation),
        action_step=policy_step.PolicyStep(batch.action),
        next_time_step=ts.TimeStep(step_type, batch.reward, batch.discount, batch.next_observation),
    )
