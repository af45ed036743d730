// All networks that come with Mien as types.
#pragma once

#include <mien/models/alexnet.hpp>
#include <mien/models/fer_net.hpp>
#include <mien/models/inception_fer.hpp>
#include <mien/models/mini_fer.hpp>
#include <mien/models/resnet33.hpp>
#include <mien/models/vgg10.hpp>
#include <mien/models/vgg_net.hpp>
