"""What is checked of every operator: one visible tuple."""

from __future__ import annotations

from graphwright.testing.check import Check
from graphwright.testing.derivative_checks import (
    gradients_agree_with_finite_differences_in_both_orders,
    gradients_of_differentiable_operators_are_checked_somewhere,
    many_applications_at_once_give_what_one_at_a_time_gives,
    tangents_agree_with_finite_differences,
    undifferentiable_operators_say_so,
)
from graphwright.testing.trait_checks import (
    a_node_is_printed_and_read_back,
    an_operator_is_complete,
    applying_an_operator_again_changes_nothing_or_undoes_it,
    bad_input_is_refused_at_the_users_line,
    commutative_operators_commute,
    composites_decompose_into_the_same_value,
    elementwise_operators_look_at_one_index_at_a_time,
    the_absorbing_element_absorbs_what_is_finite,
    the_identity_element_changes_nothing,
    views_move_no_bytes,
)
from graphwright.testing.value_checks import (
    elementwise_kernels_keep_half_precision,
    infer_agrees_with_the_kernel_at_every_size,
    kernel_into_works_in_the_memory_of_any_input,
    kernel_into_writes_what_the_kernel_returns,
    the_kernel_agrees_with_an_independent_definition,
    the_kernel_leaves_its_inputs_alone_and_takes_any_strides,
)

CHECKS: tuple[Check, ...] = (
    an_operator_is_complete,
    infer_agrees_with_the_kernel_at_every_size,
    the_kernel_agrees_with_an_independent_definition,
    elementwise_kernels_keep_half_precision,
    the_kernel_leaves_its_inputs_alone_and_takes_any_strides,
    kernel_into_writes_what_the_kernel_returns,
    kernel_into_works_in_the_memory_of_any_input,
    gradients_agree_with_finite_differences_in_both_orders,
    tangents_agree_with_finite_differences,
    gradients_of_differentiable_operators_are_checked_somewhere,
    undifferentiable_operators_say_so,
    many_applications_at_once_give_what_one_at_a_time_gives,
    composites_decompose_into_the_same_value,
    bad_input_is_refused_at_the_users_line,
    a_node_is_printed_and_read_back,
    elementwise_operators_look_at_one_index_at_a_time,
    commutative_operators_commute,
    views_move_no_bytes,
    applying_an_operator_again_changes_nothing_or_undoes_it,
    the_identity_element_changes_nothing,
    the_absorbing_element_absorbs_what_is_finite,
)
"""Each is called with its subjects: the cases of an operator, its rejects, or the operator."""
