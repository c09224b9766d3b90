"""Which of the cases that run over each transport run with a server, or a master, on Windows, too; why others do not."""

from __future__ import annotations

#: All cases of a module.
ALL = frozenset({"*"})

#: Reason → module → test functions whose cases do not; `ALL` of a module. Everything else does. The list only ever gets
#: shorter.
NOT_ON_WINDOWS: dict[str, dict[str, frozenset[str]]] = {
    "Functions and classes go by value between equal versions of Python only, and Windows has another one here: see "
    "test_windows_pythons.py.": {
        "test_by_value": ALL,
        "test_by_value_main": ALL,
        "test_demo": frozenset({"test_demo"}),
        "test_late_results": ALL,
        "test_library_values": frozenset({"test_tensors"}),
        "test_objects_in_calls": frozenset(
            {
                "test_methods_as_arguments",
                "test_methods_that_were_asked_for",
                "test_objects_that_generators_return",
                "test_results_by_value",
            }
        ),
        "test_outcomes": frozenset({"test_calls_after_the_end"}),
        "test_process_bound": frozenset({"test_files_of_a_host"}),
        "test_proxy_lives": frozenset({"test_identity"}),
        "test_slips": frozenset({"test_lazy_iterators"}),
        "test_value_kinds": frozenset({"test_tuples", "test_tuples_of_the_script"}),
    },
    "Windows has no fork.": {
        "test_coroutines": frozenset({"test_coroutine_that_forks"}),
        "test_forks": ALL,
        "test_multiprocessing": frozenset({"test_executor", "test_pool"}),
        "test_thread_delays": frozenset({"test_nothing_waits_for_it"}),
    },
    "Windows has no signals by which processes end or are interrupted, nor groups of processes: how they end there is in "
    "test_windows_server.py.": {
        "test_advice": frozenset({"test_lost"}),
        "test_cancelling": ALL,
        "test_ctrl_c": frozenset(
            {"test_call_multi", "test_frames", "test_frames_of_the_script", "test_note"}
        ),
        "test_interrupts": frozenset({"test_storm_in_the_worker"}),
        "test_processes": ALL,
        "test_threads": frozenset(
            {
                "test_alarm_of_remote_code",
                "test_signals_from_outside_reach_remote_code",
                "test_what_only_a_main_thread_can_do",
            }
        ),
        "test_worker_ends": frozenset(
            {"test_call_after_the_end", "test_error_names_the_way", "test_kill_from_outside"}
        ),
    },
    "It finds the process of the server by its number, which under wine is another one outside.": {
        "test_default_timeout": frozenset({"test_master_with_a_default_timeout"}),
        "test_lost": frozenset({"test_every_waiting_call_raises", "test_lost_while_sending"}),
        "test_outcomes": frozenset({"test_call_that_had_begun"}),
        "test_threads": frozenset({"test_idle_worker_sleeps"}),
        "test_with_blocks": frozenset({"test_another_error_first", "test_unnoticed_loss"}),
    },
    "It is about descriptors, limits, umasks, guardians or /proc of POSIX.": {
        "test_environment": frozenset(
            {
                "test_descriptors",
                "test_each_connection_has_a_process_of_its_own",
                "test_files_of_the_worker_are_private_by_umask",
                "test_nothing_passes_from_one_worker_to_the_next",
                "test_signals_are_at_their_defaults",
            }
        ),
        "test_killed_guardian": ALL,
        "test_reaped_children": ALL,
        "test_self_harm": ALL,
        "test_without_proc": ALL,
    },
    "It uses programs, pipes with names, or modules that are not on Windows.": {
        "test_definitions": frozenset({"test_update_in_a_completion_function"}),
        "test_documentation_executing": frozenset({"test_examples_over_each_transport"}),
        "test_environment": frozenset({"test_output_reaches_nobody_by_mistake"}),
        "test_master_forks": frozenset({"test_fork"}),
    },
    "It needs libraries, or versions of them, that the Windows Python of the tests does not have.": {
        "test_arrays": frozenset({"test_numpy_is_the_same_there"}),
        "test_library_values": frozenset({"test_tables"}),
        "test_trust": frozenset({"test_arrays"}),
    },
    "It counts answers that come between interrupts, and they take longer there.": {
        "test_interrupts": frozenset({"test_storm_in_the_master"}),
    },
}


def runs_on_windows(module: str, function: str) -> bool:
    """Return whether the cases of a test function run with a server on Windows."""
    return not _is_listed(NOT_ON_WINDOWS, module, function)


#: The modules whose cases over TCP run with a master on Windows, too, see `helpers.windows_master`.
FROM_WINDOWS: frozenset[str] = frozenset(
    {
        "test_advice",
        "test_arrays",
        "test_await",
        "test_bad_values",
        "test_call_keywords",
        "test_calls",
        "test_common_classes",
        "test_completions",
        "test_connection",
        "test_coroutines",
        "test_ctrl_c",
        "test_definitions",
        "test_documentation_connecting",
        "test_environment",
        "test_error_texts",
        "test_exceptions",
        "test_forks",
        "test_futures",
        "test_globals",
        "test_group",
        "test_interpreter_end",
        "test_introspection",
        "test_large_classes",
        "test_limits",
        "test_lost",
        "test_multiprocessing",
        "test_objects_in_exceptions",
        "test_parallel",
        "test_prefetch",
        "test_proxy_kinds",
        "test_proxy_lives",
        "test_proxy_places",
        "test_proxy_view",
        "test_root_proxy",
        "test_server_objects",
        "test_slips",
        "test_standard_functions",
        "test_switched_off",
        "test_threads",
        "test_trust",
        "test_value_kinds",
        "test_views",
        "test_waiting",
        "test_with_blocks",
        "test_worker_ends",
    }
)

#: Reason → module → its cases that do not run from Windows, by their functions' names; `ALL` of a module.
NOT_FROM_WINDOWS: dict[str, dict[str, frozenset[str]]] = {
    "the server has another Python, so nothing goes by value": {
        "test_by_value": ALL,
        "test_by_value_main": ALL,
        "test_demo": ALL,
        "test_late_results": ALL,
        "test_objects_in_calls": ALL,
        "test_process_bound": ALL,
        "test_proxy_lives": frozenset({"test_identity"}),
        "test_slips": frozenset({"test_lazy_iterators"}),
        "test_value_kinds": frozenset({"test_tuples", "test_tuples_of_the_script"}),
    },
    "the server has another NumPy": {
        "test_arrays": frozenset({"test_numpy_is_the_same_there"}),
        "test_numpy_versions": ALL,
    },
    "pandas and rich are not installed there": {"test_hidden_keys": ALL, "test_library_values": ALL},
    "master and server meet in a named pipe": {
        "test_definitions": frozenset({"test_update_in_a_completion_function"}),
        "test_forks": frozenset(
            {
                "test_child_does_not_keep_the_connection_open",
                "test_fork_during_calls_of_other_threads",
                "test_long_call_is_still_followed_after_a_fork",
            }
        ),
        "test_thread_delays": ALL,
        "test_threads": frozenset(
            {
                "test_calls_of_several_threads_run_at_once",
                "test_long_call_of_the_main_thread",
                "test_long_call_right_after_an_idle_time",
                "test_single_calls_have_a_thread_each",
            }
        ),
    },
    "the test signals to the server's processes": {
        "test_killed_guardian": ALL,
        "test_reaped_children": ALL,
        "test_lost": frozenset({"test_every_waiting_call_raises", "test_lost_while_sending"}),
        "test_processes": ALL,
        "test_threads": frozenset(
            {"test_signals_from_outside_reach_remote_code", "test_what_only_a_main_thread_can_do"}
        ),
        "test_with_blocks": frozenset({"test_another_error_first", "test_unnoticed_loss"}),
        "test_worker_ends": frozenset({"test_call_after_the_end", "test_kill_from_outside"}),
    },
    "the test looks at the server's processes and files by means that Windows lacks": {
        "test_environment": frozenset(
            {
                "test_descriptors",
                "test_each_connection_has_a_process_of_its_own",
                "test_files_of_the_worker_are_private_by_umask",
                "test_signals_are_at_their_defaults",
            }
        ),
        "test_forks": frozenset({"test_child_holds_nothing_of_the_connection"}),
        "test_self_harm": ALL,
        "test_worker_ends": frozenset({"test_error_names_the_way"}),
    },
    "the test starts a server of its own, on the master's system": {
        "test_default_timeout": ALL,
        "test_descriptor_limit": ALL,
        "test_documentation_executing": ALL,
        "test_documentation_objects": ALL,
        "test_documentation_parallel": ALL,
        "test_without_proc": ALL,
    },
    "the master forks, has signals of its own, or is a process whose descriptors are looked at": {
        "test_interrupts": ALL,
        "test_master_forks": ALL,
        "test_master_output": ALL,
    },
    "wine lacks the function with which Python 3.12 copies files": {"test_private_folder": ALL},
    "it lasts long, and is the server's business": {
        "test_parallel": frozenset({"test_a_gibibyte_in_flight"}),
        "test_soak": ALL,
    },
}


def runs_from_windows(module: str, function: str) -> bool:
    """Return whether the cases of a test function run with a master on Windows."""
    return module in FROM_WINDOWS and not _is_listed(NOT_FROM_WINDOWS, module, function)


def _is_listed(table: dict[str, dict[str, frozenset[str]]], module: str, function: str) -> bool:
    listed = (names.get(module, frozenset()) for names in table.values())
    return any(names == ALL or function in names for names in listed)
