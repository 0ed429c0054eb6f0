#include "policies.hpp"
